"""The comments that silence findings: `-- review: allow RULE: reason`, beside the statement or in the header."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from pgyoyo.migrations.migration import File
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Finding
from pgyoyo.sql.lexer import comment_end
from pgyoyo.sql.script import Script, Statement

_COMMENT = re.compile(rb"--[ \t]*review[ \t]*:(?P<words>[^\r\n]*)")
_BETWEEN = re.compile(rb"/\*|--[^\r\n]*")
_ALLOW = re.compile(r"\s*allow\s+(?P<rule>(?:squawk:)?[a-z][a-z0-9-]*)\s*:\s*(?P<reason>\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One such comment; statement None is the whole file."""

    rule: str
    reason: str
    line: int
    statement: int | None


def silenced(file: File, script: Script, found: Sequence[Finding], *, whole: bool = False) -> list[Finding]:
    """The findings of one file, those that a comment covers with its reason, and those about the comments themselves.

    A comment before the first statement covers the file, any other one the statement that it stands in, above, or behind on
    its line. `whole` takes each for the file's: nobody looks at the statements of a rollback one by one.
    """
    comments, faults = _read(file, script)
    used = set()
    result = []
    for one in found:
        for allowance in comments:
            covers = whole or allowance.statement is None or allowance.statement == one.statement
            if covers and allowance.rule == one.rule:
                used.add(allowance)
                one = replace(one, allowed=allowance.reason)  # noqa: PLW2901 - the same finding, with its reason
        result.append(one)
    for allowance in comments:
        if allowance not in used:
            words = f"nothing is found here that {allowance.rule} is about"
            faults.append(_about(file, "allow-is-unused", allowance.line, allowance.statement, words))
    return result + faults


def _read(file: File, script: Script) -> tuple[list[Allowance], list[Finding]]:
    comments: list[Allowance] = []
    faults: list[Finding] = []
    for offset, comment in _comments(script):
        if not (match := _COMMENT.match(comment)):
            continue
        line, statement = script.line(offset), _statement(script, offset)
        words = match["words"].decode(errors="replace")
        allow = _ALLOW.fullmatch(words)
        rule = allow["rule"] if allow else ""
        if not allow:
            said = f'"review:{words.rstrip()}" is none; write: -- review: allow RULE: reason'
            faults.append(_about(file, "allow-is-wrong", line, statement, said))
        elif rule not in rulebook() and not rule.startswith("squawk:"):
            near = get_close_matches(rule, rulebook(), n=1)
            advice = f"did you mean {near[0]}?" if near else "pgyoyo review --rules lists them"
            faults.append(_about(file, "allow-is-wrong", line, statement, f'there is no rule "{rule}"; {advice}'))
        else:
            comments.append(Allowance(rule, allow["reason"], line, statement))
    return comments, faults


def _comments(script: Script) -> Iterator[tuple[int, bytes]]:
    """The `--` comments of a file with their offsets, in the order of the file."""
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
    """The `--` comments in a statement; none of one that has a string without an end."""
    if not _COMMENT.search(text):
        return
    from postgast import PgQueryError, scan
    from postgast.pg_query_pb2 import SQL_COMMENT

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
    rule = rulebook()[name]
    return Finding(name, rule.severity, file.path, line, statement, happens, rule.hurts, rule.safer)
