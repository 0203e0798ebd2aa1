"""What can be added to a migration file on request: a header line, or a rollback that undoes nothing."""

import re

from pgyoyo.migrations import checks
from pgyoyo.migrations.migration import NO_OP, File
from pgyoyo.sql import header
from pgyoyo.sql.lexer import leading_comments_end, start_of

_COMMENTS = re.compile(rb"(?:[ \t]*--[^\r\n]*(?:\r?\n|\Z))+")


def declared(file: File) -> bytes | None:
    """The file with "transactional: false", where that line is all that it lacks; else None."""
    head = file.header
    if file.is_python or not head.transactional or head.backfill or not any(checks.defects(file)):
        return None
    data = _with_line(file.data, b"-- transactional: false")
    comments = data[start_of(data) : leading_comments_end(data)].decode()
    read, faults = header.parse(comments, rollback=file.name.endswith(".rollback.sql"))
    if faults or read != head._replace(transactional=False, title=read.title):
        return None
    return None if any(checks.defects(file._replace(data=data, header=read))) else data


def with_no_op(file: File) -> bytes | None:
    """An empty rollback file with a SELECT that says that there is nothing to undo; None for any other file."""
    if not file.empty or file.header.irreversible:
        return None
    end = _line_end(file.data)
    return file.data + (b"" if not file.data or file.data.endswith(b"\n") else end) + NO_OP.encode() + end


def _with_line(data: bytes, line: bytes) -> bytes:
    """The file with a line at the end of its leading comments, before the first statement."""
    start, end = start_of(data), _line_end(data)
    comments = _COMMENTS.match(data, start)
    if comments is None:
        return data[:start] + line + end + end + data[start:]
    text = comments[0] if comments[0].endswith(b"\n") else comments[0] + end
    has_directives = any(re.search(rb"(?m)^[ \t]*--[ \t]*%b[ \t]*:" % name.encode(), text) for name in header.KNOWN)
    blank = b"" if has_directives else b"--" + end
    return data[:start] + text + blank + line + end + data[comments.end() :]


def _line_end(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\n"
