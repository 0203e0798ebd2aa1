"""The rules of a review, and the findings they give on what was observed."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pgyoyo.migrations.migration import File
from pgyoyo.review.evidence import Evidence, Hit
from pgyoyo.review.rules_locks import LOCKS
from pgyoyo.review.rules_work import WORK
from pgyoyo.review.sheet import FAILED, Finding, ObservedStatement, Relation
from pgyoyo.sql.intent import intent_of
from pgyoyo.text import hidden

_PUBLIC = re.compile(r'(?<![\w".])public\.')


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of rules.toml: a title, the effect on the database or its users, and a workaround; {table} stands in both."""

    id: str
    severity: str
    title: str
    effect: str
    workaround: str

    def finding(
        self, path: Path, line: int, statement: int | None, happens: str, *, table: str = "the table",
        source: str = "measured",
    ) -> Finding:  # fmt: skip
        """A finding of this rule at a line of a file."""
        effect, workaround = (text.strip().replace("{table}", table) for text in (self.effect, self.workaround))
        return Finding(self.id, self.severity, path, line, statement, happens, effect, workaround, source)


@cache
def rulebook() -> dict[str, Rule]:
    """All rules by id, in the order of rules.toml."""
    text = Path(__file__).with_name("rules.toml").read_text(encoding="utf-8")
    return {name: Rule(name, **words) for name, words in tomllib.loads(text).items()}


def findings(file: File, statements: Sequence[ObservedStatement], invalid: Sequence[Relation]) -> list[Finding]:
    """The findings on each statement, then those on indexes that the migration leaves `invalid`."""
    evidence: list[Evidence] = []
    renamed: dict[str, str] = {}
    for statement in statements:
        asks = intent_of(statement.sql.encode()).called(renamed)
        if asks.renames and asks.target:
            renamed = {**renamed, asks.renames: asks.target}
        evidence.append(Evidence(statement, asks, tuple(evidence), renamed))
    batched = file.header.backfill is not None
    result = [
        _finding(file, each.statement, hit)
        for each in evidence for rule in (_fails, *LOCKS, *WORK) for hit in rule(each)
        if not (batched and hit[0] == "update-not-batched")
    ]  # fmt: skip
    for relation in invalid:
        makers = [each.statement for each in evidence if each.names(relation) or
                  any(change.identity == relation.name for change in each.statement.changes)]  # fmt: skip
        statement = makers[0] if makers else statements[-1]
        result.append(
            _finding(file, statement, ("invalid-index", f"{_short(relation.name)} is left invalid", relation))
        )
    return result + hidden_characters(file, statements)


def hidden_characters(file: File, statements: Sequence[ObservedStatement] = ()) -> list[Finding]:
    """The findings on characters that a reader of the file doesn't see, one for each line of it, comments included."""
    text = file.data.decode(errors="replace")
    lines: dict[int, list[str]] = {}
    for offset, character in hidden(text):
        name = unicodedata.name(character, "control character").lower()
        lines.setdefault(file.line(text.count("\n", 0, offset) + 1), []).append(f"U+{ord(character):04X} ({name})")
    return [
        rulebook()["hidden-characters"].finding(
            file.path, line, next((each.number for each in reversed(statements) if each.line <= line), None),
            "the line holds " + ", ".join(dict.fromkeys(names)),
        )
        for line, names in lines.items()
    ]  # fmt: skip


def _fails(evidence: Evidence) -> Iterator[Hit]:
    statement = evidence.statement
    if statement.state == FAILED:
        rule = "enum-value-used-at-once" if statement.sqlstate == "55P04" else "statement-fails"
        yield rule, statement.error or "the statement fails", None


def _finding(file: File, statement: ObservedStatement, hit: Hit) -> Finding:
    name, happens, relation = hit
    table = "the table"
    if relation:
        table = _short(relation.table or relation.name) if relation.kind == "index" else _short(relation.name)
    # The text of a server error is not changed.
    happens = happens if statement.state == FAILED else _PUBLIC.sub("", happens)
    return rulebook()[name].finding(file.path, statement.line, statement.number, happens, table=table)


def _short(name: str) -> str:
    return name.removeprefix("public.")
