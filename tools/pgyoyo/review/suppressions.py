"""The comments that suppress findings, `-- review: allow RULE: reason`, at a statement or in the header."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from postgast import PgQueryError, scan
from postgast.pg_query_pb2 import SQL_COMMENT

from pgyoyo.errors import closest
from pgyoyo.migrations.migration import File
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Finding
from pgyoyo.sql.lexer import comment_end
from pgyoyo.sql.script import Script, Statement

_COMMENT = re.compile(rb"--[ \t]*review[ \t]*:(?P<words>[^\r\n]*)")
_BETWEEN = re.compile(rb"/\*|--[^\r\n]*")
_ALLOW = re.compile(r"\s*allow\s+(?P<rule>(?:squawk:)?[a-z][a-z0-9-]*)\s*:\s*(?P<reason>\S.*?)\s*")
# Rules of squawk that have become rules of ours: a comment that names the old rule covers the new.
_RENAMED = {
    "squawk:ban-drop-column": "drop-column", "squawk:ban-drop-table": "drop-table", "squawk:renaming-column": "rename-column",
    "squawk:renaming-table": "rename-table", "squawk:ban-truncate-cascade": "truncate-cascade",
}  # fmt: skip
# Errors, not judgements.
_OF_THE_SERVER = ("statement-fails", "enum-value-used-at-once", "defect", "rollback-fails", "reapply-fails")


@dataclass(frozen=True, slots=True)
class Suppression:
    """One such comment; statement None: it covers the whole file."""

    rule: str
    reason: str
    line: int
    statement: int | None


def suppressed(file: File, script: Script, findings: Sequence[Finding], *, whole: bool = False) -> list[Finding]:
    """The findings of one file, those that a comment covers with its reason, and findings about the comments themselves.

    A comment before the first statement covers the file, any later one the statement that it is in, directly above, or
    after on the same line. With `whole` each covers the file: the statements of a rollback are not judged one by one.
    """
    comments, faults = _read(file, script)
    used = set()
    result = []
    for finding in findings:
        covering = [
            comment for comment in comments if finding.rule in (comment.rule, _RENAMED.get(comment.rule))
            and (whole or comment.statement in (None, finding.statement))
        ]  # fmt: skip
        used.update(covering)
        result.append(replace(finding, allowed=covering[-1].reason) if covering else finding)
    for comment in comments:
        if comment not in used:
            happens = f"there is no {comment.rule} finding here"
            faults.append(_about(file, "allow-is-unused", comment.line, comment.statement, happens))
    return result + faults


def _read(file: File, script: Script) -> tuple[list[Suppression], list[Finding]]:
    comments: list[Suppression] = []
    faults: list[Finding] = []
    for offset, comment in _comments(script):
        if not (match := _COMMENT.match(comment)):
            continue
        line, statement = file.line(script.line(offset)), _statement(script, offset)
        words = match["words"].decode(errors="replace")
        allow = _ALLOW.fullmatch(words)
        rule = allow["rule"] if allow else ""
        if not allow:
            happens = f'"review:{words.rstrip()}" is not a suppression; write: -- review: allow RULE: reason'
            faults.append(_about(file, "allow-is-wrong", line, statement, happens))
        elif rule not in rulebook() and not rule.startswith("squawk:"):
            near = closest(rule, rulebook())
            advice = f"did you mean {near}?" if near else "pgyoyo review --rules lists them"
            faults.append(_about(file, "allow-is-wrong", line, statement, f'there is no rule "{rule}"; {advice}'))
        elif rule in _OF_THE_SERVER:
            happens = f"{rule} can't be suppressed: the server rejects the statement, whatever a comment says"
            faults.append(_about(file, "allow-is-wrong", line, statement, happens))
        else:
            comments.append(Suppression(rule, allow["reason"], line, statement))
    return comments, faults


def _comments(script: Script) -> Iterator[tuple[int, bytes]]:
    """The `--` comments of a file with their offsets, in order."""
    if not _COMMENT.search(script.data):
        return
    behind = 0
    for statement in script.statements:
        yield from _between(script.data, behind, statement.start)
        yield from _within(statement, script.text(statement))
        behind = statement.data[1] if statement.data else statement.end
    yield from _between(script.data, behind, len(script.data))


def _between(data: bytes, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """The `--` comments between two statements."""
    while match := _BETWEEN.search(data, start, stop):
        start = match.end()
        if match[0] != b"/*":
            yield match.start(), match[0]
        elif (start := comment_end(data, match.start(), stop)) < 0:
            return


def _within(statement: Statement, text: bytes) -> Iterator[tuple[int, bytes]]:
    """The `--` comments in a statement; none if it has an unterminated string."""
    if not _COMMENT.search(text):
        return
    try:
        tokens = scan(text.decode(errors="replace")).tokens
    except PgQueryError:
        return
    for token in tokens:
        if token.token == SQL_COMMENT:
            yield statement.start + token.start, text[token.start : token.end]


def _statement(script: Script, offset: int) -> int | None:
    """The number of the statement that a comment belongs to."""
    statements = script.statements
    if not statements or offset < statements[0].start:
        return None
    for number, statement in enumerate(statements, start=1):
        same_line = b"\n" not in script.data[statement.end : offset] if offset >= statement.end else True
        if offset < statement.end or same_line:
            return number
    return len(statements)


def _about(file: File, name: str, line: int, statement: int | None, happens: str) -> Finding:
    return rulebook()[name].finding(file.path, line, statement, happens)
