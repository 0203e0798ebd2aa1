"""The statements in a server's log: jsonlog, csvlog or stderr, by log_statement or log_min_duration_statement."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pgyoyo.errors import UsageError
from pgyoyo.workload.statements import Query

# The simple protocol logs "statement", the extended one "execute NAME"; its parse and bind steps repeat the same text.
_MESSAGE = re.compile(
    r"(?:duration: [\d.]+ ms  )?(?:statement|execute (?P<more>fetch from )?[^\n]*?): (?P<text>.*)", re.DOTALL
)
_LEVELS = "LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG[1-5]?"
# What follows a message and belongs to it.
_FIELDS = "DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION|BACKTRACE"
_STDERR = re.compile(rf"(?!\t)(?P<prefix>.*?)\b(?P<level>{_LEVELS}|{_FIELDS}):  (?P<text>.*)")
# How a line of each other kind begins; the first one of a file may be cut off.
_JSON = re.compile(rb'^\{"', re.MULTILINE)
_CSV = re.compile(
    rb'^\d{4}-\d\d-\d\d [\d:.]{8,} [^,\n]{1,20},(?:"[^"\n]*"|[^",\n]*),(?:"[^"\n]*"|[^",\n]*),\d+,', re.MULTILINE
)
_SYSLOG = re.compile(r".*\[\d+\]: \[\d+-\d+\] ")  # it numbers the pieces of a message
# Where level, text, detail, statement, database and application are.
_JSON_FIELDS = ("error_severity", "message", "detail", "statement", "dbname", "application_name")
_CSV_COLUMNS = (11, 13, 14, 19, 2, 22)
_OURS = "pgyoyo"  # how the names begin that engine/connection.py gives to its sessions
_PREPARED = "prepare: "


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a log; what is unknown is "". `statement` is one that failed, but for what is no SQL."""

    text: str
    detail: str = ""
    statement: str = ""
    database: str = ""
    application: str = ""
    prefix: str = ""


def queries(place: Path) -> Iterator[Query]:
    """The statements of the log, or of every log in a folder, a call each; the format is seen from the text.

    A statement that failed counts too, without a call where only its error is logged; what pgyoyo sent does not, where the
    log names applications. Raises UsageError where a file can't be read or is no log, or where there is no statement.
    """
    empty = True
    for path in sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else [place]:
        for message in messages(path):
            for query in statements(message):
                empty = False
                yield query
    if empty:
        raise UsageError(
            f"{place} holds no statement in English log messages; on the server: "
            "log_statement = 'all' or log_min_duration_statement = 0, and lc_messages = 'C'"
        )


def statements(message: Message) -> Iterator[Query]:
    """The statement that the message shows, if it does: as it was sent, or the one that an EXECUTE or an error names.

    None where the session was one of pgyoyo's.
    """
    if message.application.startswith(_OURS):
        return
    if match := _MESSAGE.fullmatch(message.text):
        text = match["text"]
        if message.detail.startswith(_PREPARED):
            text = message.detail.removeprefix(_PREPARED)
        elif match["more"] or re.match(r"\s*PREPARE\b(?!\s+TRANSACTION\b)", text, re.IGNORECASE):
            yield Query(text, calls=0)
            return
        yield Query(text, calls=1)
    elif message.statement:
        yield Query(message.statement)


def messages(path: Path, start: int = 0) -> Iterator[Message]:
    """The messages of a log file from a byte on, packed by gzip or not; raises UsageError where it is no readable log."""
    with _opened(path) as file:
        file.seek(start)
        head = file.read(1 << 16)
        file.seek(start)
        lines = io.TextIOWrapper(file, "utf-8", "replace", newline="\n")
        if _JSON.search(head):
            yield from _json(path, lines)
        elif match := _CSV.search(head):
            lines.seek(start + match.start())
            yield from _csv(lines)
        else:
            yield from _stderr(path, lines)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UsageError(f"{path}: the gzip file is cut off or damaged; name a whole one, or unpack it") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a log file of the server: --log FILE") from None


def _json(path: Path, lines: Iterable[str]) -> Iterator[Message]:
    broken = 0
    for number, line in enumerate(lines, 1):
        if broken > 1:  # the first line may be cut off; so may the last one, which the server is writing
            raise UsageError(f"{path}:{broken}: not valid JSON; name a whole jsonlog file")
        try:
            entry = json.loads(line) if line.strip() else None
        except json.JSONDecodeError:
            broken = number
            continue
        if isinstance(entry, dict):
            field = {name: str(entry.get(name, "")) for name in _JSON_FIELDS}
            yield _message(*field.values())


def _csv(lines: Iterable[str]) -> Iterator[Message]:
    csv.field_size_limit(1 << 30)  # a statement may be long
    for row in csv.reader(lines):
        if len(row) > max(_CSV_COLUMNS):
            yield _message(*(row[column] for column in _CSV_COLUMNS))


def _stderr(path: Path, lines: Iterable[str]) -> Iterator[Message]:
    """The messages, whatever log_line_prefix is: their further lines begin with a tab."""
    prefix, level, fields, last = "", "", dict[str, str](), ""

    def message() -> Message:
        return _message(
            level, fields.get(level, ""), fields.get("DETAIL", ""), fields.get("STATEMENT", ""), prefix=prefix
        )

    for raw in lines:
        line = raw.removesuffix("\n")
        if line.startswith("\t"):
            if last:
                fields[last] += "\n" + line[1:]
            continue
        match = _STDERR.match(line.removesuffix("\r"))
        if _SYSLOG.match(line):
            raise UsageError(
                f"{path}: syslog cuts statements to pieces; have the server write jsonlog, csvlog or stderr"
            )
        last = match["level"] if match else ""
        if last not in _FIELDS.split("|"):
            yield message()
            prefix, level, fields = match["prefix"] if match else "", last, {}
        if match:
            fields[last] = match["text"]
    yield message()


def _message(
    level: str, text: str, detail: str, statement: str, database: str = "", application: str = "", prefix: str = ""
) -> Message:
    if text.startswith("syntax error"):
        statement = ""
    return Message(text if level == "LOG" else "", detail, statement, database, application, prefix)
