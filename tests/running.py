"""Processes of `pgyoyo` and of the plain `yoyo`, forked from one that has imported both: it saves half a second each."""

import codecs
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds after which something that must happen has not happened


class Run:
    """A process that was started, with its output so far."""

    def __init__(self, pid: int, folder: Path, number: int) -> None:
        self.pid = pid
        self._folder, self._number = folder, number
        self._ended = threading.Event()
        self._code: int | None = None

    def end(self, code: int) -> None:
        """It has ended with this code, or with minus the signal that ended it."""
        self._code = code
        self._ended.set()

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    @property
    def out(self) -> str:
        return self._text("out")

    @property
    def err(self) -> str:
        return self._text("err")

    def _text(self, name: str) -> str:
        return (self._folder / f"{self._number}.{name}").read_text(encoding="utf-8")

    def kill(self, number: int = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code; -9 where it was killed."""
        assert self._ended.wait(seconds), f"{self.pid} has not ended\n{self.out}\n{self.err}"
        assert self._code is not None
        return self._code


class Runners:
    """Starts processes that run the command line's own entry point; with `command`, the installed command itself."""

    def __init__(self, *, command: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pgyoyo-runs-"))
        self._numbers = count()
        self._runs: dict[int, Run] = {}
        self._lock = threading.Lock()
        self._started = threading.Condition()
        self._pids: list[int] = []
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
        self._environ = environ
        self._server: subprocess.Popen[str] | None = None
        if not command:
            self._server = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
            )
            threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> "Runners":
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs.values():
            if run.alive:
                run.kill()
                run.wait()
        if self._server is not None:
            assert self._server.stdin
            assert self._server.stdout
            self._server.stdin.close()
            self._server.wait()
            self._server.stdout.close()
        shutil.rmtree(self.folder)

    def start(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
        program: str = "pgyoyo",
    ) -> Run:
        """A `pgyoyo` with these arguments, started; `env` is the whole environment, `stdin` a text."""
        number = next(self._numbers)
        words = [str(word) for word in arguments]
        out, err = (str(self.folder / f"{number}.{name}") for name in ("out", "err"))
        Path(out).touch()
        Path(err).touch()
        if self._server is None:
            command = [str(Path(sys.executable).with_name(program)), *words]
            with Path(out).open("w") as a, Path(err).open("w") as b:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=a,
                    stderr=b,
                    env=env or self._environ,
                    cwd=cwd or self.folder,
                )
            run = self._runs[process.pid] = Run(process.pid, self.folder, number)
            threading.Thread(target=lambda: run.end(process.wait()), daemon=True).start()
            return run
        assert self._server.stdin
        source = os.devnull
        if stdin is not None:
            source = str(self.folder / f"{number}.in")
            Path(source).write_text(stdin, encoding="utf-8")
        with self._lock, self._started:
            job = {"program": program, "argv": words, "in": source, "out": out, "err": err, "number": number}
            job |= {"env": None if env is None else dict(env), "cwd": str(cwd or self.folder)}
            self._server.stdin.write(json.dumps(job) + "\n")
            self._server.stdin.flush()
            assert self._started.wait_for(lambda: self._pids, PATIENCE)
            return self._runs[self._pids.pop()]

    def run(self, *arguments: object, **options: Any) -> Run:
        """The same, ended."""
        run = self.start(*arguments, **options)
        run.wait()
        return run

    def _listen(self) -> None:
        assert self._server
        assert self._server.stdout
        for line in self._server.stdout:
            word, pid, value = line.split()
            if word == "started":
                with self._started:
                    self._runs[int(pid)] = Run(int(pid), self.folder, int(value))
                    self._pids.append(int(pid))
                    self._started.notify()
            else:
                self._runs[int(pid)].end(int(value))


def serve() -> None:
    """Fork a runner for each line of stdin; write its pid, and later how it ended."""
    import postgast  # noqa: F401
    import yoyo.scripts.main
    import yoyo.topologicalsort

    from pgyoyo import __main__, bookkeeping, console, migrator, yoyo_backend
    from pgyoyo.backfill import job
    from pgyoyo.cli import apply, backfill, main, status
    from pgyoyo.engine import difference, stepwise
    from pgyoyo.importing import ledgers, source
    from pgyoyo.sql import idempotence, parser

    assert yoyo_backend, (bookkeeping, migrator, console, apply, backfill, main, status)
    assert job, (difference, stepwise, ledgers, source, idempotence)
    parser.parse(b"CREATE INDEX CONCURRENTLY a ON b (c)")
    codecs.lookup("utf-8-sig")
    # A collection in a fork would copy what it looks at.
    gc.collect()
    gc.freeze()
    programs = {"pgyoyo": __main__.run, "yoyo": yoyo.scripts.main.main}
    signals = [signal.SIGCHLD]

    def reap(*_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                os.write(1, f"ended {ended[0]} {os.waitstatus_to_exitcode(ended[1])}\n".encode())

    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        job = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            os._exit(_become(job, programs[job["program"]]))
        os.write(1, f"started {pid} {job['number']}\n".encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _become(job: dict[str, Any], program: Any) -> int:
    for number, name in enumerate(("in", "out", "err")):
        opened = os.open(job[name], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    if job["env"] is not None:
        os.environ.clear()
        os.environ.update(job["env"])
    os.chdir(job["cwd"])
    random.seed()
    # What was read of the pipe that brings the jobs does not count.
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.argv = [job["program"], *job["argv"]]
    code: object = 0
    try:
        program()
    except SystemExit as error:
        code = error.code
    except BaseException:  # noqa: BLE001 - as the interpreter itself
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


if __name__ == "__main__":
    serve()
