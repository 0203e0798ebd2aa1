"""What was seen of one migration on its way up, down and up: its findings by class, and their lines."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from pgyoyo.catalog.snapshot import Change
from pgyoyo.engine import failures
from pgyoyo.errors import MigrationError, Place, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch.absent import ways_out
from pgyoyo.units import time_words

# The classes of findings are the ids of the review's rules, but for the last two, which no rule is about.
APPLY_FAILS = "statement-fails"
FAILS = "rollback-fails"
DIFFERS = "rollback-differs"
ORDER = "rollback-order-differs"
REAPPLY_FAILS = "reapply-fails"
REAPPLY_DIFFERS = "reapply-differs"
LOSSY = "lossy-without-reason"
VOLATILE = "not-repeatable"
SEQUENCE = "sequence-behind"
MISSING = "irreversible-without-reason"
CHAIN = "chain only"
NOT_RUN = "not run"
# Each class as a person reads it.
WORDS = {
    APPLY_FAILS: "fails", FAILS: "rollback fails", DIFFERS: "differs", ORDER: "differs in order only",
    REAPPLY_FAILS: "re-apply fails", REAPPLY_DIFFERS: "re-apply differs", LOSSY: "lossy without a reason",
    VOLATILE: "volatile", SEQUENCE: "sequence behind its rows", MISSING: "no rollback", CHAIN: "chain only",
    NOT_RUN: "not run",
}  # fmt: skip

_SHOWN = 12
# A name with its date: a quoted one may have other characters between the parts of the date.
_WORD = re.compile(r"[\w$-]+")
_DATES = ("%Y%m%d", "%Y_%m_%d", "%Y-%m-%d", "%Y%m", "%Y_%m", "%Y-%m")


@dataclass(slots=True)
class Proof:
    """What was seen of one migration: findings by class, a rule's id, with their lines, and the places of failed statements.

    The duration is in milliseconds.
    """

    id: str
    lossy: str | None = None
    irreversible: str | None = None
    findings: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    # Those of them that are about tables, which the first proof that meets a table has.
    of_tables: list[str] = field(default_factory=list)
    duration: float = 0.0

    def fails(self, kind: str, error: MigrationError, words: str = "{}") -> None:
        """Add a failure as a finding, in these words, and its place in a file if it has one."""
        self.findings[kind] = [words.format(error)]
        server_error = error.server_error if isinstance(error, StatementError) else None
        if kind == APPLY_FAILS and (ways := ways_out(server_error)):
            self.findings[kind].append(ways)
        if isinstance(error, StatementError) and error.place:
            self.places[kind] = error.place

    def anew(self) -> "Proof":
        """A proof of the same migration without findings, but for the rollback that it lacks."""
        missing = {MISSING: self.findings[MISSING]} if MISSING in self.findings else {}
        return Proof(self.id, self.lossy, self.irreversible, missing)

    def clear(self) -> None:
        """Forget findings and notes, for another attempt."""
        self.findings.clear()
        self.places.clear()
        self.notes.clear()
        self.of_tables.clear()

    def take(self, proof: "Proof") -> None:
        """Take over the findings and notes of another attempt at the same migration."""
        self.findings.update(proof.findings)
        self.places.update(proof.places)
        self.notes += proof.notes
        self.of_tables += proof.of_tables

    @property
    def goes_down(self) -> bool:
        """Whether there is a rollback to prove."""
        return not self.irreversible and MISSING not in self.findings

    @property
    def failures(self) -> list[str]:
        """The classes that make it a failure, the cause first."""
        return [kind for kind in self.findings if kind != CHAIN]


def smallest(changes: Sequence[Change]) -> list[str]:
    """A line for each change; of what came or went as a whole, not what is part of it."""
    kinds = ("table", "view", "type")
    whole = [change for change in changes if change.kind in kinds and None in (change.before, change.after)]

    def part(change: Change) -> bool:
        return change.kind not in kinds and any(
            (change.before is None, change.after is None) == (whole_change.before is None, whole_change.after is None)
            and any(f"{word}.".startswith(f"{whole_change.identity}.") for word in change.identity.split(" "))
            for whole_change in whole
        )

    lines = [str(change) for change in changes if not part(change)]
    more = len(lines) - _SHOWN
    return lines[:_SHOWN] + [f"… and {more} more"] * (more > 0)


def dated(migration: Migration, changes: Sequence[Change], before: Iterable[tuple[str, str]] = ()) -> list[str]:
    """What the migration named or defined by today's date: tomorrow it makes something else.

    Names that stood `before` it, given as (kind, identity), and those that PostgreSQL derives from them don't count.
    """
    today = datetime.now(UTC)
    days = [today + timedelta(hours=hours) for hours in (-14, 0, 14)]
    texts = {day.strftime(form) for day in days for form in _DATES}
    text = migration.apply.data.decode(errors="replace")
    strange = sorted((date for date in texts if date not in text), key=len, reverse=True)
    strange_date = re.compile("|".join(rf"(?<!\d){date}(?!\d)" for date in strange))
    words = {
        word
        for _, identity in before
        for word in _WORD.findall(identity)
        if strange_date.pattern and strange_date.search(word)
    }
    return [
        f"{change.kind} {change.identity}: holds today's date ({match[0]}), which its file does not"
        for change in changes
        if strange_date.pattern
        and (match := strange_date.search(_without(words, f"{change.identity}\n{change.after or ''}")))
        and match[0] not in (change.before or "")
    ]


def _without(words: Collection[str], text: str) -> str:
    """The text without these names, and without names that begin with them, as those of a table's indexes do."""
    starts = tuple(f"{word}_" for word in words)
    return _WORD.sub(lambda name: "" if name[0] in words or (starts and name[0].startswith(starts)) else name[0], text)


def proof_lines(proof: Proof) -> list[str]:
    """One proof for a person: the word, then what was found, then what could not be looked at."""
    if proof.failures:
        head, tail = f"failed {proof.id}", ": " + "; ".join(WORDS[kind] for kind in proof.findings)
    elif proof.irreversible:
        head, tail = f"irreversible {proof.id}", f": {proof.irreversible}"
    else:
        head, tail = f"proved {proof.id}", "; ".join(["", *(WORDS[kind] for kind in proof.findings)])
        tail += f"; lossy: {proof.lossy}" if proof.lossy else ""
    lines = [line for texts in proof.findings.values() for text in texts for line in text.splitlines()]
    if proof.findings.keys() & {LOSSY, ORDER}:
        lines.append("if that is meant, write its reason in the header of the rollback file: -- lossy: reason")
    notes = [line for note in proof.notes for line in f"note: {note}".splitlines()]
    return [f"{head} ({time_words(proof.duration)}){tail}", *(f"    {line}" for line in lines + notes)]


def proof_summary(proofs: Sequence[Proof]) -> str:
    """How many were proved, and how many failed in which class."""
    failed = Counter(proof.failures[0] for proof in proofs if proof.failures)
    final = sum(bool(proof.irreversible) for proof in proofs if not proof.failures)
    proved = [proof for proof in proofs if not proof.failures and not proof.irreversible]
    parts = {
        "lossy with a reason": sum(bool(p.lossy) for p in proved),
        "chain only": sum(bool(p.findings) for p in proved),
    }
    details = ", ".join(f"{count} {word}" for word, count in parts.items() if count)
    words = [f"{len(proved)} proved" + (f" ({details})" if details else "")]
    words += [f"{final} irreversible with a reason"] if final else []
    words += (
        [f"{failed.total()} failed: " + ", ".join(f"{n} {WORDS[kind]}" for kind, n in failed.items())] if failed else []
    )
    return "; ".join(words) + "."


def proof_json(proofs: Sequence[Proof]) -> str:
    """The proofs for a program; keys and classes (the ids of rules) are stable, durations milliseconds."""

    def row(proof: Proof) -> dict[str, Any]:
        state = "failed" if proof.failures else "irreversible" if proof.irreversible else "proved"
        return {
            "id": proof.id, "state": state, "class": next(iter(proof.findings), None), "lossy": proof.lossy,
            "irreversible": proof.irreversible, "findings": [{"class": k, "lines": v} for k, v in proof.findings.items()],
            "notes": proof.notes, "duration_ms": proof.duration,
        }  # fmt: skip

    failed = Counter(proof.failures[0] for proof in proofs if proof.failures)
    return json.dumps({"migrations": [row(proof) for proof in proofs], "failed": failed}, indent=2)


def first_words(error: MigrationError) -> str:
    """The server's message without what goes with it; without such a message the first line of the error."""
    cause = error.server_error if isinstance(error, StatementError) else None
    words = failures.server_words(cause) if isinstance(cause, psycopg.Error) else str(error)
    return words.splitlines()[0]
