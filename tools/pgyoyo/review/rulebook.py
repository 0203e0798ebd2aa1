"""The rules of a review: their names, severities, and what to say of each; the text stands in rules.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `title` says what it is about, `hurts` whom, `safer` the SQL that does not."""

    id: str
    severity: str
    title: str
    hurts: str
    safer: str


@cache
def rulebook() -> dict[str, Rule]:
    """Every rule of our own, by its id, in the order of rules.toml."""
    text = Path(__file__).with_name("rules.toml").read_text(encoding="utf-8")
    return {name: Rule(name, **words) for name, words in tomllib.loads(text).items()}
