"""The statements in a server's log: jsonlog, csvlog or stderr, by log_statement or log_min_duration_statement."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.workload.statements import Query

# The simple protocol logs "statement", the extended one "execute NAME"; its parse and bind steps repeat the same text.
_MESSAGE = re.compile(r"(?:duration: [\d.]+ ms  )?(?:statement|execute [^:\n]*): (?P<text>.*)", re.DOTALL)
_STDERR = re.compile(r"^(?!\t)(?:.*?)\b(?P<level>LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG\d?|DETAIL|HINT|CONTEXT|"
                     r"STATEMENT|QUERY|LOCATION):  (?P<text>.*)$")  # fmt: skip
# The columns of a csvlog: error_severity and message.
_SEVERITY, _TEXT, _COLUMNS = 11, 13, 23


def queries(path: Path) -> list[Query]:
    """The statements of the log, a call each; the format is seen from the text.

    Raises UsageError where the file can't be read, is no log, or holds no statement.
    """
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a log file of the server: --log FILE") from None
    if text.startswith("{"):
        messages = _json(path, text)
    elif len(next(_rows(text), ())) >= _COLUMNS:
        messages = _csv(text)
    else:
        messages = _stderr(text)
    statements = [Query(match["text"], calls=1) for message in messages if (match := _MESSAGE.fullmatch(message))]
    if not statements:
        raise UsageError(
            f"{path} holds no statement in English log messages; on the server: "
            "log_statement = 'all' or log_min_duration_statement = 0, and lc_messages = 'C'"
        )
    return statements


def _json(path: Path, text: str) -> Iterator[str]:
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                return  # the server is writing it
            raise UsageError(f"{path}:{number}: not valid JSON: {error.msg}; name a whole jsonlog file") from None
        if isinstance(entry, dict) and entry.get("error_severity") == "LOG":
            yield str(entry.get("message", ""))


def _csv(text: str) -> Iterator[str]:
    for row in _rows(text):
        if len(row) >= _COLUMNS and row[_SEVERITY] == "LOG":
            yield row[_TEXT]


def _rows(text: str) -> Iterator[list[str]]:
    csv.field_size_limit(1 << 30)  # a statement may be long
    return csv.reader(io.StringIO(text, newline=""))


def _stderr(text: str) -> Iterator[str]:
    """The messages, whatever log_line_prefix is: their further lines begin with a tab."""
    lines: list[str] | None = None
    for line in text.split("\n"):
        if line.startswith("\t"):
            if lines is not None:
                lines.append(line[1:])
            continue
        if lines is not None:
            yield "\n".join(lines)
        match = _STDERR.match(line.removesuffix("\r"))
        lines = [match["text"]] if match and match["level"] == "LOG" else None
    if lines is not None:
        yield "\n".join(lines)
