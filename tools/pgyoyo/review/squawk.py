"""The findings of squawk, a linter, on files."""

import json
import shutil
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pgyoyo.errors import PgyoyoError
from pgyoyo.migrations.migration import File
from pgyoyo.review.sheet import NOTE, WARNING, Finding
from pgyoyo.sql.script import Script, filed_offset

# Rules that pgyoyo itself satisfies, and matters of taste that would mark every file.
LEFT_OUT = (
    "require-lock-timeout", "require-statement-timeout", "require-timeout-settings", "transaction-nesting",
    "prefer-robust-stmts", "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-text-field",
    "ban-concurrent-index-creation-in-transaction", "ban-uncommitted-transaction",
)  # fmt: skip
# Rules whose subject the rehearsal measures, or that a rule of ours judges by the catalog: they count only for a statement
# that did not run, or had nothing to do, and there as much as ours would.
MEASURED = frozenset((
    "adding-field-with-default", "adding-foreign-key-constraint", "adding-not-nullable-field", "adding-required-field",
    "adding-serial-primary-key-field", "changing-column-type", "constraint-missing-not-valid", "disallowed-unique-constraint",
    "require-concurrent-index-creation", "require-concurrent-index-deletion", "require-concurrent-reindex",
    "require-concurrent-partition-detach", "ban-truncate-cascade", "ban-alter-domain-with-add-constraint", "prefer-repack",
    "syntax-error", "ban-drop-column", "ban-drop-table", "ban-drop-database", "renaming-column", "renaming-table",
))  # fmt: skip
# Those that a rule of ours judges by the catalog, and that are a note elsewhere: often the file makes the thing again.
OURS = frozenset((
    "ban-drop-constraint", "ban-drop-domain", "ban-drop-extension", "ban-drop-function", "ban-drop-not-null",
    "ban-drop-schema", "ban-drop-sequence", "ban-drop-type", "ban-drop-view", "ban-set-schema", "renaming-object",
))  # fmt: skip
_DOCS = "https://squawkhq.com/docs/"


_AT_ONCE = 200  # files that are given to one process

# What squawk reports of one file, as it writes it.
Reports = Sequence[Mapping[str, Any]]


def reports(texts: Sequence[tuple[File, Script]], *, server_version: int) -> list[Reports]:
    """What squawk reports of each file, all of a kind given to one process.

    squawk is given whether a file runs in a transaction, and the server's version (given as libpq gives it). Raises
    PgyoyoError if squawk is not installed or its output can't be read.
    """
    results: list[list[Mapping[str, Any]]] = [[] for _ in texts]
    for transactional in (True, False):
        places = [i for i, (file, _) in enumerate(texts) if file.header.transactional == transactional]
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            scripts = [texts[i][1].sql for i in some]
            for name, report in _run(scripts, server_version=server_version, transactional=transactional):
                results[some[name]].append(report)
    return list(results)


def _run(
    scripts: Sequence[bytes], *, server_version: int, transactional: bool
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The reports with the number of the script that each is about."""
    with TemporaryDirectory(prefix="pgyoyo-squawk-") as folder:
        paths = [Path(folder) / f"{i}.sql" for i in range(len(scripts))]
        for path, script in zip(paths, scripts, strict=True):
            path.write_bytes(script)
        command = [
            _program(), "--config", "/dev/null", "--reporter", "json", "--pg-version", str(server_version // 10000),
            "--exclude", ",".join(LEFT_OUT), *(["--assume-in-transaction"] if transactional else []), *map(str, paths),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise PgyoyoError(f"squawk can't be run: {command[0]}: {error.strerror}") from None
    # It exits with 1 both for findings and for input that it can't read; then the reason is on stderr.
    try:
        reported: list[dict[str, Any]] = json.loads(done.stdout or (b"[]" if done.returncode == 0 else b""))
        yield from [(int(Path(report["file"]).stem), report) for report in reported]
    except ValueError:
        code = done.returncode
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = done.stderr.decode(errors="replace").strip() or ended
        raise PgyoyoError(f"the output of squawk can't be read: {words}") from None


def lint(
    file: File, script: Script, reported: Reports, *, ran: Collection[int], shown: Collection[int] | None = None
) -> list[Finding]:
    """The findings of squawk in its reports on a file, each at its statement.

    `ran`: the numbers of the statements that ran in the rehearsal. `shown`: those of them that did something there, so that
    it shows what they do; all of them if not given. A statement with IF [NOT] EXISTS that found nothing to do shows nothing.
    """
    lines = [0, *accumulate(len(line) for line in script.sql.splitlines(keepends=True))] if reported else []
    return [
        finding
        for report in reported
        if (
            finding := _finding(
                file, script, report, lines, ran if shown is None or report["rule_name"] == "syntax-error" else shown
            )
        )
    ]


def _finding(
    file: File, script: Script, report: Mapping[str, Any], lines: Sequence[int], ran: Collection[int]
) -> Finding | None:
    rule = report["rule_name"]
    # Its lines and columns count from 0, the columns in bytes.
    at = filed_offset(script.pieces, lines[report["line"]] + report["column"])
    number = bisect_right(script.statements, at, key=lambda statement: statement.start) or None
    if (rule in MEASURED or rule in OURS) and (number is None or number in ran):
        return None
    # The others are about style, or guesses at what clients do: they decide no verdict.
    severity = WARNING if rule in MEASURED else NOTE
    return Finding(
        f"squawk:{rule}", severity, file.path, file.line(script.line(at)), number, report["message"],
        workaround=report["help"] or "", source="squawk", url=_DOCS + rule,
    )  # fmt: skip


def _program() -> str:
    """The program that pip installed: beside this Python, or where its package says; else the one on the PATH."""
    for path in (Path(sys.executable).with_name("squawk"), *_packaged()):
        if path.exists():
            return str(path)
    if on_path := shutil.which("squawk"):
        return on_path
    raise PgyoyoError("squawk is not installed; run `pip install squawk-cli`")


def _packaged() -> Iterator[Path]:
    """Its place in the package's record: not beside this Python where site-packages of another one are on the path."""
    with suppress(PackageNotFoundError):
        yield from (Path(str(file.locate())) for file in files("squawk-cli") or () if file.stem == "squawk")
