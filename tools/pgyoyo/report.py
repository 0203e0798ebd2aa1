"""What happened, in words: the only module that prints."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from pgyoyo.ledger import Ledger, Progress
from pgyoyo.plan import Applied, Comparison
from pgyoyo.words import green, progress_words, table, time_words

if TYPE_CHECKING:
    from pgyoyo.message import Outcome
    from pgyoyo.proof import Proof
    from pgyoyo.verify import Verdict


@dataclass(slots=True)
class Report:
    """Lines for a person: results to stdout, everything about waiting and trouble to stderr."""

    quiet: bool = False
    verbose: bool = False
    _last: float = field(default=0.0, init=False)
    _shown: float = field(default=0.0, init=False)

    def result(self, text: str) -> None:
        """A line that was asked for; kept by --quiet only where nothing else would say it."""
        if not self.quiet:
            _print(text, sys.stdout)

    def answer(self, text: str) -> None:
        """What the command is for (a status, a plan): printed also with --quiet."""
        _print(text, sys.stdout)

    def note(self, text: str) -> None:
        """A word about waiting, the server, or something out of order."""
        if not self.quiet:
            self._clear()
            _print(text, sys.stderr)

    def warn(self, text: str) -> None:
        """Something that a person should look at; never left out."""
        self._clear()
        _print(f"warning: {text}", sys.stderr)

    def progress(self, what: str) -> Callable[[float], None]:
        """A function that says how long `what` takes already (seconds): a line that is written over on a terminal, where
        there is none a new one every half minute.
        """
        self._last = 0.0

        def show(elapsed: float) -> None:
            if self.quiet or elapsed - self._last < (1.0 if sys.stderr.isatty() else 30.0):
                return
            self._last = elapsed
            if sys.stderr.isatty():
                _print(f"\r\033[K{what} … {elapsed:.0f} s", sys.stderr, end="")
            else:
                _print(f"{what} … {elapsed:.0f} s", sys.stderr)

        return show

    def step(self, what: str) -> None:
        """What is being done just now: a line of a terminal that the next thing is written over; nothing elsewhere."""
        if not self.quiet and sys.stderr.isatty():
            _print(f"\r\033[K{what}", sys.stderr, end="")

    def backfill(self, found: Progress, why: str) -> None:
        """How far a backfill is, and why it waits, if it does: a line that is written over on a terminal, where there is
        none a new one every five seconds.
        """
        now, terminal = time.monotonic(), sys.stderr.isatty()
        self._shown = self._shown or now
        if self.quiet or now - self._shown < (0.2 if terminal else 5.0):
            return
        self._last = self._shown = now
        words = progress_words(found) + (f"  {why}" if why else "")
        if terminal:
            bar = "█" * round(found.fraction * 20)
            line = f"{found.migration_id} {bar.ljust(20, '░')} {words}"
            _print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", sys.stderr, end="")
        else:
            _print(f"{found.migration_id}: {words}", sys.stderr)

    def _clear(self) -> None:
        if self._last and sys.stderr.isatty():
            _print("\r\033[K", sys.stderr, end="")
        self._last = 0.0

    def ran(self, verb: str, migration_id: str, outcome: Outcome, title: str = "") -> None:
        """One line for a migration with its time, then its notices and result rows; printed after the commit."""
        self._clear()
        said = f": {title}" if self.verbose and title else ""
        self.result(f"{green(verb)} {migration_id} ({time_words(outcome.duration)}){said}")
        for notice in outcome.notices:
            self.result(f"    {notice}")
        for rows in outcome.tables:
            for line in table(*rows):
                self.result(f"    {line}")

    def proof(self, proof: Proof) -> None:
        """One line for a migration that was proved; a failure with what was seen, also with --quiet."""
        self._clear()
        if proof.failures:
            self.answer("\n".join(proof_lines(proof)))
        else:
            self.result("\n".join(proof_lines(proof)))


def _print(text: str, stream: IO[str], *, end: str = "\n") -> None:
    print(text, file=stream, end=end, flush=True)


def status_lines(database: str, comparison: Comparison, found: Ledger) -> list[str]:
    """The status for a person: one line a migration, then what stands out and what comes next."""
    edited = {migration.hash for migration in comparison.edited}
    missing = {row.hash for row in comparison.missing}
    late = {migration.hash for migration in comparison.late}
    begun = {line.hash: line for line in found.journal}
    backfills = {one.hash: one for one in found.backfills}
    lines = [database]
    ids = [row.id for row in comparison.applied] + [migration.id for migration in comparison.pending]
    width = max(map(len, ids), default=0)
    for row in comparison.applied:
        words = [f"applied  {row.id.ljust(width)}  {row.at:%Y-%m-%d %H:%M:%S} UTC"]
        if row.duration is not None:
            words.append(time_words(row.duration))
        if row.by:
            words.append(f"by {row.by}")
        if row.checksum is None:
            words.append("by the plain yoyo: its text is not known")
        elif row.duration is None:
            words.append("marked, not run")
        words += ["FILE EDITED SINCE"] * (row.hash in edited) + ["FILE MISSING"] * (row.hash in missing)
        if row.hash in begun:
            words.append(f"rollback interrupted after statement {begun[row.hash].statement}")
        lines.append("  ".join(words))
    for migration in comparison.pending:
        words = [f"pending  {migration.id.ljust(width)}"]
        words += ["sorts before an applied one"] * (migration.hash in late)
        if migration.hash in begun:
            words.append(f"interrupted at statement {begun[migration.hash].statement}")
        if migration.hash in backfills:
            one = backfills[migration.hash]
            state = "backfill running" if one.running else "backfill interrupted"
            words.append(f"{state}: {progress_words(one)}")
        lines.append("  ".join(words).rstrip())
    if comparison.edited:
        lines.append(f"restore what was edited, or accept it: pgyoyo repair {comparison.edited[0].id}")
    lines.append(summary(len(comparison.applied), len(comparison.pending)))
    return lines


def summary(applied: int, pending: int) -> str:
    """The last line of a status."""
    if not pending:
        return f"{applied} applied, none pending."
    return f"{applied} applied, {pending} pending; next: pgyoyo apply"


def verdict_lines(verdict: Verdict) -> list[str]:
    """What verify found: how the live database differs from what its migrations give."""
    lines = [*verdict.ledger]
    for change in verdict.changes:
        # "added" and "removed" would leave open to which of the two.
        words = str(change).replace(": added", ": only in the database", change.before is None)
        lines.append(words.replace(": removed", ": missing in the database", change.after is None))
    lines += [f"ignored: {change.kind} {change.identity} ({rule.reason})" for change, rule in verdict.ignored]
    lines += verdict.diff
    # Of a diff, each place where it begins anew.
    count = len(verdict.ledger) + len(verdict.changes) + sum(line.startswith("@@") for line in verdict.diff)
    if not count:
        return [*lines, "files, ledger and catalog agree."]
    return [*lines, f"{count} difference{'s' if count > 1 else ''}."]


def proof_lines(proof: Proof) -> list[str]:
    """One proof for a person: the word, then what was found, then what could not be looked at."""
    if proof.failures:
        head, tail = f"failed {proof.id}", ": " + "; ".join(proof.findings)
    elif proof.irreversible:
        head, tail = f"irreversible {proof.id}", f": {proof.irreversible}"
    else:
        head, tail = f"{green('proved')} {proof.id}", "; ".join(["", *proof.findings])
        tail += f"; lossy: {proof.lossy}" if proof.lossy else ""
    lines = [line for found in proof.findings.values() for text in found for line in text.splitlines()]
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
    said = ", ".join(f"{count} {word}" for word, count in parts.items() if count)
    words = [f"{len(proved)} proved" + (f" ({said})" if said else "")]
    words += [f"{final} irreversible with a reason"] if final else []
    words += [f"{failed.total()} failed: " + ", ".join(f"{n} {kind}" for kind, n in failed.items())] if failed else []
    return "; ".join(words) + "."


def proof_json(proofs: Sequence[Proof]) -> str:
    """The proofs for a program; keys and classes are stable, durations milliseconds."""

    def row(proof: Proof) -> dict[str, Any]:
        state = "failed" if proof.failures else "irreversible" if proof.irreversible else "proved"
        return {
            "id": proof.id, "state": state, "class": next(iter(proof.findings), None), "lossy": proof.lossy,
            "irreversible": proof.irreversible, "findings": [{"class": k, "lines": v} for k, v in proof.findings.items()],
            "notes": proof.notes, "duration_ms": proof.duration,
        }  # fmt: skip

    failed = Counter(proof.failures[0] for proof in proofs if proof.failures)
    return json.dumps({"migrations": [row(proof) for proof in proofs], "failed": failed}, indent=2)


def status_json(database: Mapping[str, object], comparison: Comparison, found: Ledger) -> str:
    """The status for a program; keys are stable, times ISO 8601 in UTC, durations milliseconds."""
    edited = {migration.hash for migration in comparison.edited}
    missing = {row.hash for row in comparison.missing}
    late = {migration.hash for migration in comparison.late}

    def row(one: Applied) -> dict[str, Any]:
        return {
            "id": one.id, "state": "applied", "applied_at": one.at.isoformat() + "Z",
            "duration_ms": None if one.duration is None else round(one.duration, 3),
            "applied_by": one.by, "version": one.version, "checksum": one.checksum, "edited": one.hash in edited,
            "file_missing": one.hash in missing,
        }  # fmt: skip

    content = {
        "database": database,
        "ledger_schema": found.schema,
        "migrations": [
            *(row(one) for one in comparison.applied),
            *({"id": m.id, "state": "pending", "late": m.hash in late} for m in comparison.pending),
        ],
        "interrupted": [
            {"id": line.migration_id, "operation": line.operation, "statement": line.statement, "state": line.state}
            for line in found.journal
        ],
        "backfills": [
            {
                "id": one.migration_id,
                "state": "running" if one.running else "interrupted",
                "rows": one.rows,
                "batches": one.batches,
                "fraction": one.fraction,
                "seconds": one.worked,
                "rows_per_second": one.rate,
                "seconds_left": one.left,
                "seconds_since_last_batch": one.idle,
            }
            for one in found.backfills
        ],
        "applied": len(comparison.applied),
        "pending": len(comparison.pending),
    }
    return json.dumps(content, indent=2)
