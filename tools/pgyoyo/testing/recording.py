"""The statements that tests sent to the plugin's databases, read from the log of the embedded server."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pgyoyo import whole_file
from pgyoyo.errors import PgyoyoError, UsageError
from pgyoyo.server.in_memory import FAST
from pgyoyo.testing import server
from pgyoyo.testing.clones import CLONE
from pgyoyo.units import number
from pgyoyo.workload import collecting, logs
from pgyoyo.workload.statements import Query, written

# What FAST's log_line_prefix gives of a session; pgyoyo calls its own sessions so.
_SESSION = re.compile(r".*? \[\d+\] (?P<database>\S+) (?P<application>.*)")


@dataclass(frozen=True, slots=True)
class Recording:
    """Of a run with all its processes: `token` is part of the names of its databases; its part of the log has a `start`."""

    output: Path
    token: str
    log: Path
    start: int
    ledger: str

    def write(self) -> str:
        """Write the file, whole or not at all, and return a line on it; raises UsageError.

        Where nothing was sent, a file that is there stays as it is.
        """
        result = collecting.collected(self._queries(), keep_literals=False, ledger=self.ledger)
        if not result.queries:
            return f"pgyoyo: no statement reached the tests' databases; {self.output} is not written"
        # How often tests send one says nothing of the application, and the file would change with every test.
        whole_file.write(self.output, written(replace(query, calls=None) for query in result.queries).encode())
        lines = [f"pgyoyo: wrote {self.output}: {number(len(result.queries), 'statement')}", *collecting.notes(result)]
        return "\n".join(lines)

    def _queries(self) -> Iterator[Query]:
        for message in logs.messages(self.log, self.start):
            if (session := _SESSION.match(message.prefix)) and self._is_ours(session["database"]):
                yield from logs.statements(replace(message, application=session["application"]))

    def _is_ours(self, database: str) -> bool:
        return database.startswith(CLONE) and database.rpartition("_")[2].startswith(self.token)


class Recorder:
    """The part of the plugin that --pgyoyo-record adds; keeps the server's place in the stash under `server_key`.

    `worker_key` is what gives a worker of pytest-xdist the token.
    """

    def __init__(self, server_key: pytest.StashKey[server.Place], worker_key: str) -> None:
        self._server_key, self._worker_key = server_key, worker_key
        self._recording: Recording | None = None
        self._line = ""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin, or end the run with a message where that can't be; until its end the server runs on."""
        try:
            session.config.stash[self._server_key], self._recording = _begun(session.config)
        except PgyoyoError as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A worker of pytest-xdist marks its databases as this run's."""
        assert self._recording
        node.workerinput[self._worker_key] = self._recording.token

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the file, also after an interruption: the last test and all workers have ended by now."""
        if self._recording:
            try:
                self._line = self._recording.write()
            except PgyoyoError as error:
                self._line = f"pgyoyo: {error}"
                session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was recorded."""
        terminalreporter.write_line(self._line)


def _begun(config: pytest.Config) -> tuple[server.Place, Recording]:
    output: Path = config.invocation_params.dir / config.option.pgyoyo_record
    if not output.parent.is_dir():
        raise UsageError(
            f"--pgyoyo-record={output}: there is no folder {output.parent}; create it, or name another file"
        )
    token = secrets.token_hex(4)
    place = server.start(config, recorded=token)
    try:
        log, start = _log(place)
    except BaseException:
        place.close()
        raise
    return replace(place, log_start=start), Recording(output, token, log, start, server.migration_table(config))


def _log(place: server.Place) -> tuple[Path, int]:
    """Where it is, and its size."""
    assert place.embedded
    if place.clones.admin.execute("SHOW log_line_prefix").fetchone() != (FAST["log_line_prefix"],):
        raise UsageError(
            "--pgyoyo-record: the tests' server was started by an older pgyoyo; end it first: pgyoyo server stop"
        )
    return place.embedded.log, place.embedded.log.stat().st_size
