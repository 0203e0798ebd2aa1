"""What a run over a fleet shows: a line or an object a member, a summary, a histogram of who stands where."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pgyoyo.fleet.visit import AT_HEAD, DONE, LOCKED, PENDING, STATES, UNCHANGED, Visit
from pgyoyo.text import escaped_json, printable_line
from pgyoyo.units import number, time_words

if TYPE_CHECKING:
    from pgyoyo.fleet.definition import Fleet
    from pgyoyo.fleet.run import Run

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")  # a pid, a time; no part of a name
_MOST = 20  # members that a line of the summary names


@dataclass(slots=True)
class Tally:
    """What was seen of all members so far; its size does not depend on how many there are, but for those that failed."""

    states: Counter[str] = field(default_factory=Counter)
    places: Counter[tuple[str | None, int]] = field(default_factory=Counter)
    bad: list[Visit] = field(default_factory=list)
    slowest: Visit | None = None
    ran: int = 0

    def add(self, visit: Visit) -> None:
        """Count a visit."""
        self.states[visit.state] += 1
        self.ran += len(visit.ids)
        if visit.state in (DONE, UNCHANGED, AT_HEAD, PENDING):
            self.places[visit.at, visit.missing] += 1
        else:
            self.bad.append(visit)
        if visit.state == DONE and (self.slowest is None or visit.seconds > self.slowest.seconds):
            self.slowest = visit


def line(visit: Visit, width: int) -> str:
    """A line for a member that something happened at."""
    words = [visit.state.ljust(11), printable_line(visit.member.id).ljust(width), time_words(visit.seconds * 1000)]
    if visit.ids:
        words.append(", ".join(visit.ids) if len(visit.ids) < 4 else number(len(visit.ids), "migration"))
    lines = ["  ".join(words)]
    lines += [f"    {text}" for text in visit.message.splitlines()]
    lines += [f"    warning: {text}" for warning in visit.warnings for text in warning.splitlines()]
    return "\n".join(lines)


def as_json(visit: Visit, fleet: Fleet) -> str:
    """The object of a member, on one line; times in seconds, sizes in bytes."""
    groups = fleet.groups
    group = groups[visit.member.group].name if visit.member.group < len(groups) else None
    value: dict[str, Any] = {
        "member": visit.member.id,
        "database": visit.member.database,
        "schema": visit.member.schema,
        "group": group,
        "state": visit.state,
        "seconds": round(visit.seconds, 3),
        "ran": list(visit.ids),
        "at": visit.at,
        "missing": visit.missing,
        "pending": visit.pending,
        "message": visit.message or None,
        "warnings": list(visit.warnings),
    }
    if visit.cost:
        value["cost"] = asdict(visit.cost)
    return escaped_json(json.dumps(value, ensure_ascii=False))


def summary(tally: Tally, run: Run, verb: str) -> list[str]:
    """The end of a run, so that it can be sent round: how many members, what became of them, where they stand."""
    states = [f"{tally.states[state]} {state}" for state in STATES if tally.states[state]]
    if run.left:
        states.append(f"{run.left} not visited")
    lines = [f"{run.fleet.name}: {number(len(run.members), 'member')}: {', '.join(states) or 'none visited'}"]
    if tally.ran:
        lines.append(f"{number(tally.ran, 'migration')} {verb}")
    if tally.slowest:
        lines.append(f"slowest: {printable_line(tally.slowest.member.id)} ({time_words(tally.slowest.seconds * 1000)})")
    lines += histogram(tally)
    lines += bad_lines(tally.bad)
    if run.reason:
        lines.append(f"ended: {run.reason}")
    return lines


def histogram(tally: Tally) -> list[str]:
    """Who stands where: the last applied migration, and how many before it are pending."""
    lines = []
    for (at, missing), count in sorted(tally.places.items(), key=lambda entry: (-entry[1], entry[0][0] or "")):
        words = f"{count} at {at}" if at else f"{count} with nothing applied"
        lines.append(words + (f", {missing} pending before it" if missing else ""))
    return lines


def bad_lines(visits: Sequence[Visit]) -> list[str]:
    """Members that failed, those with the same message together."""
    together: dict[tuple[str, str], list[Visit]] = {}
    for visit in visits:
        # Members that fail in the same way differ by their own names in the words, and by who was in the way, for how long.
        words = visit.message.replace(visit.member.id, "")
        together.setdefault((visit.state, _NUMBER.sub("", words) if visit.state == LOCKED else words), []).append(visit)
    lines = []
    for alike in sorted(together.values(), key=lambda group: -len(group)):
        lines.append(f"{alike[0].state}: {names([visit.member.id for visit in alike])}")
        lines += [f"    {words}" for words in alike[0].message.splitlines()]
    return lines


def names(ids: Sequence[str]) -> str:
    """The ids in a line, of many only the first."""
    return ", ".join(map(printable_line, ids[:_MOST])) + (f" and {len(ids) - _MOST} more" if len(ids) > _MOST else "")
