"""The words of the rules of a review, from rules.toml: what a finding says, and the safer way for a server and a table."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pgyoyo.review.sheet import Finding

MANUAL = "https://www.postgresql.org/docs/current/"
NO_NAME = "the table"  # in a sentence, for a finding about no table
NEXT = "-- then, in another migration:"

_HOLE = re.compile(r"(?<!\$)\{[a-z_]+\}")


@dataclass(frozen=True, slots=True)
class Advice:
    """The safer way in steps, each a migration of its own, where its conditions hold.

    `since` and `before`: versions of the server (18); `table`: plain or partitioned; `form`: code, primary key; empty: any.
    """

    steps: tuple[str, ...]
    since: int = 0
    before: int = 99
    table: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What the safer way depends on: the server's version, as libpq gives it, the kind of the table, and of the statement."""

    version: int = 180000
    partitioned: bool = False
    code: bool = False
    primary_key: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of rules.toml. {table} stands for the table in its texts, any other {name} for what the reader fills in.

    `effect` is that on the database or its users, `why` the reason, `manual` a page of PostgreSQL's manual with its section.
    `workaround` is a sentence, for where none of the `advice` fits.
    """

    id: str
    severity: str
    title: str
    effect: str
    why: str = ""
    manual: str = ""
    workaround: str = ""
    advice: tuple[Advice, ...] = ()

    def steps(self, place: Place) -> tuple[str, ...]:
        """The steps of the safer way there, with what is to be filled in; none where there is only the sentence."""
        for way in self.advice:
            forms = ("", "code" * place.code, "primary key" * place.primary_key)
            fits = way.table in ("", "partitioned" if place.partitioned else "plain") and way.form in forms
            if fits and way.since <= place.version // 10000 < way.before:
                return way.steps
        return ()

    def safer(self, place: Place = Place(), values: Mapping[str, str] | None = None) -> str:
        """The safer way there, as SQL or a sentence; … for what `values` don't have."""
        filled = {"unique": "", "definition": "(…)"} | dict(values or {})
        text = f"\n{NEXT}\n".join(self.steps(place)) or self.workaround
        return _HOLE.sub(lambda hole: filled.get(hole[0][1:-1], "…"), text.strip())

    def finding(
        self, path: Path, line: int, statement: int | None, happens: str, *, table: str = NO_NAME,
        source: str = "measured", place: Place = Place(), words: Mapping[str, str] | None = None,
    ) -> Finding:  # fmt: skip
        """A finding of this rule at a line of a file; `words` fill the holes of its safer way."""
        effect = self.effect.strip().replace("{table}", table)
        name = "…" if self.steps(place) and table == NO_NAME else table
        values = {**(words or {}), "table": name, "bare_table": name.rpartition(".")[2]}
        return Finding(
            self.id, self.severity, path, line, statement, happens, effect, self.safer(place, values), source
        )


@cache
def rulebook() -> dict[str, Rule]:
    """All rules by id, in the order of rules.toml."""
    text = Path(__file__).with_name("rules.toml").read_text(encoding="utf-8")
    return {
        name: Rule(name, advice=tuple(Advice(**{**way, "steps": tuple(way["steps"])}) for way in advice), **words)
        for name, (advice, words) in (
            (name, (rule.pop("advice", ()), rule)) for name, rule in tomllib.loads(text).items()
        )
    }  # fmt: skip
