"""What an expand migration promises: the release that runs when it is applied goes on working."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pgyoyo.migrations.migration import File
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import ERROR, Finding, ObservedStatement
from pgyoyo.sql.header import EXPAND

_RULE = "expand-takes-away"
_BREAKS = ("breaks-running-query", "breaks-running-write")
# Without the statements of the running release: what takes away, renames, changes a type, or wants a value.
_STRICT = (
    "drop-table", "drop-column", "drop-cascades", "rename-table", "rename-column", "rename-object", "change-column-type",
    "narrower-type", "set-not-null-scans", "primary-key-sets-not-null", "not-null-without-default", _RULE,
)  # fmt: skip
# What a release may name. The column of a table that goes is not listed besides.
_RELATIONS = ("table", "view", "materialized view", "foreign table")
_NAMED = (*_RELATIONS, "column", "function", "procedure", "aggregate", "type", "domain", "sequence", "schema")


def held_to_phase(
    file: File, statements: Sequence[ObservedStatement], findings: Sequence[Finding], *, knows_queries: bool
) -> list[Finding]:
    """The findings on a migration; on one of the expand phase, what may break the running release is an error.

    `knows_queries`: the statements of that release were judged, so they alone decide; what may break one stays a warning.
    Else whatever takes away something that existed, renames it, changes its type or makes it NOT NULL may break it.
    """
    if file.header.phase != EXPAND:
        return list(findings)
    if knows_queries:
        return [_worse(each) if each.rule in _BREAKS and each.severity == ERROR else each for each in findings]
    known = {(finding.statement, finding.rule) for finding in findings if finding.rule in _STRICT}
    named = {number for number, _ in known}
    more = [
        rulebook()[_RULE].finding(file.path, each.line, each.number, words)
        for each, words in _taken_away(statements)
        if each.number not in named
    ]
    return [_worse(finding) if finding.rule in _STRICT else finding for finding in (*findings, *more)]


def _worse(finding: Finding) -> Finding:
    if finding.severity == ERROR and finding.rule == _RULE:
        return finding
    return replace(finding, severity=ERROR, happens=f"{finding.happens}; the header says phase: expand")


def _taken_away(statements: Sequence[ObservedStatement]) -> Iterator[tuple[ObservedStatement, str]]:
    """What existed before the file and is gone after it, or is a column of another type or newly NOT NULL; in words."""
    first: dict[tuple[str, str], str | None] = {}
    last: dict[tuple[str, str], tuple[ObservedStatement, str | None]] = {}
    for statement in statements:
        for change in statement.changes:
            key = (change.kind, change.identity)
            first.setdefault(key, change.before)
            last[key] = (statement, change.after)
    gone = {key[1] for key, (_, after) in last.items() if after is None}
    # A view may have the name of the table that was renamed.
    replaced = {key[1] for key, (_, after) in last.items() if after is not None and key[0] in _RELATIONS}
    for (kind, identity), (statement, after) in last.items():
        before = first[kind, identity]
        if before is None or kind not in _NAMED or (kind == "column" and identity.rpartition(".")[0] in gone):
            continue
        if after is None and kind in _RELATIONS and identity in replaced:
            continue
        name = f"{kind} {identity.removeprefix('public.')}"
        if after is None:
            yield statement, f"{name} is dropped, or has another name"
        elif kind == "column":
            yield from ((statement, f"{name} {words}") for words in _tighter(before, after))


def _tighter(before: str, after: str) -> Iterator[str]:
    """How a column changed, by the lines that the catalog has of it: its type first, unless it is a view's."""
    old, new = before.split("\n"), after.split("\n")
    if old[0] != new[0] and not any(line[0].startswith(("DEFAULT", "NOT NULL")) for line in (old, new)):
        yield f"becomes {new[0]}, no longer {old[0]}"
    if "NOT NULL" in new and "NOT NULL" not in old:
        yield "becomes NOT NULL"
