"""The page of one rule of a review: effect, why, the safer way, a file that it is about, and the manual's section."""

import re
from collections.abc import Iterator
from pathlib import Path

from pgyoyo.errors import UsageError, closest
from pgyoyo.review.rulebook import MANUAL, NEXT, Advice, Rule, rulebook

# A folder a rule: bad.sql, which the rule is about, and good.sql, which does the same job in the safer way. Tests run both.
PAIRS = Path(__file__).parents[1] / "pairs"

_HOLE = re.compile(r"(?<!\$)\{([a-z_]+)\}")
_NAMES = {"bare_table": "table", "unique": "", "definition": "(columns)"}
_FILES = (("bad", "This gives the finding"), ("good", "This does not"))


def rule_page(name: str) -> str:
    """The page of a rule as text; raises UsageError for a rule that does not exist."""
    rule = rulebook().get(name)
    if rule is None:
        near = closest(name, rulebook())
        advice = f"did you mean {near}?" if near else "pgyoyo review --rules lists them"
        raise UsageError(f'there is no rule "{name}"; {advice}')
    effect = rule.effect.replace("{table}", "the table")
    parts = [
        f"{rule.id} ({rule.severity})\n{rule.title}",
        f"Effect: {effect}",
        f"Why: {rule.why}",
    ]
    parts += [f"{head}:\n{_indented(text)}" for head, text in (*_ways(rule), *_pair(rule))]
    return "\n\n".join([*parts, f"Manual: {MANUAL}{rule.manual}"])


def _ways(rule: Rule) -> Iterator[tuple[str, str]]:
    """The safer ways with their conditions; the steps of each are migrations of their own."""
    for way in rule.advice:
        conditions = ", ".join(_conditions(way))
        yield "Safer" + (f" ({conditions})" if conditions else ""), _named(f"\n{NEXT}\n".join(way.steps))
    if rule.workaround:
        yield "Safer (otherwise)" if rule.advice else "Safer", _named(rule.workaround.strip())


def _conditions(way: Advice) -> Iterator[str]:
    if way.since:
        yield f"from PostgreSQL {way.since} on"
    if way.before < 99:
        yield f"before PostgreSQL {way.before}"
    if way.table:
        yield f"{way.table} table"
    if way.form:
        yield "in place of code" if way.form == "code" else f"of a {way.form}"


def _pair(rule: Rule) -> Iterator[tuple[str, str]]:
    for name, head in _FILES:
        for suffix, heading in (
            (".before.sql", "Given this earlier migration"),
            (".sql", head),
            (".rollback.sql", f"{head}, its rollback"),
        ):
            path = PAIRS / rule.id / f"{name}{suffix}"
            if path.exists():
                text = re.sub(r"\n*^-- also: .*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
                yield heading, text.strip()


def _named(text: str) -> str:
    """The text with plain names in the places that the reader fills in."""
    return _HOLE.sub(lambda hole: _NAMES.get(hole[1], hole[1]), text.strip())


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
