"""The measured findings: what was seen of each statement, held against the rules."""

import re
from collections.abc import Iterator, Sequence

from pgyoyo.migrations.migration import File
from pgyoyo.review.evidence import Case, Hit
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.rules_locks import LOCKS
from pgyoyo.review.rules_work import WORK
from pgyoyo.review.sheet import FAILED, Finding, Relation, Seen
from pgyoyo.sql.intent import asked

_PUBLIC = re.compile(r'(?<![\w".])public\.')


def findings(file: File, statements: Sequence[Seen], invalid: Sequence[Relation]) -> list[Finding]:
    """What is wrong with a migration, statement by statement, then as a whole."""
    cases: list[Case] = []
    first: dict[str, str] = {}
    for seen in statements:
        asks = asked(seen.sql.encode()).called(first)
        if asks.renames and asks.target:
            first = {**first, asks.renames: asks.target}
        cases.append(Case(seen, asks, tuple(cases), first))
    batched = file.header.backfill is not None
    found = [
        _finding(file, case.seen, hit) for case in cases for rule in (_fails, *LOCKS, *WORK) for hit in rule(case)
        if not (batched and hit[0] == "update-not-batched")
    ]  # fmt: skip
    for relation in invalid:
        makers = [case.seen for case in cases if case.names(relation) or
                  any(change.identity == relation.name for change in case.seen.changes)]  # fmt: skip
        seen = makers[0] if makers else statements[-1]
        found.append(_finding(file, seen, ("invalid-index", f"{_short(relation.name)} is left invalid", relation)))
    return found


def _fails(case: Case) -> Iterator[Hit]:
    if case.seen.state == FAILED:
        rule = "enum-value-used-at-once" if case.seen.sqlstate == "55P04" else "statement-fails"
        yield rule, case.seen.error or "it fails", None


def _finding(file: File, seen: Seen, hit: Hit) -> Finding:
    name, happens, relation = hit
    rule = rulebook()[name]
    table = _short(relation.table or relation.name) if relation and relation.kind == "index" else (
        _short(relation.name) if relation else "the table")  # fmt: skip
    hurts, safer = (text.strip().replace("{table}", table) for text in (rule.hurts, rule.safer))
    # The server's own words stay as they are.
    happens = happens if seen.state == FAILED else _PUBLIC.sub("", happens)
    return Finding(name, rule.severity, file.path, seen.line, seen.number, happens, hurts, safer)


def _short(name: str) -> str:
    return name.removeprefix("public.")
