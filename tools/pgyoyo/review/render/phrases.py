"""The facts of a review as short phrases, shared by the renderers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pgyoyo.review.render.folding import Run, counts_words, span
from pgyoyo.review.render.tables import ages, live_size, live_words, short  # noqa: F401 - two of them for the templates
from pgyoyo.review.sheet import (
    PAPERWORK,
    Finding,
    LiveTable,
    Lock,
    ObservedStatement,
    Review,
    Rollback,
    Sheet,
    verdict,
)
from pgyoyo.review.spans import total
from pgyoyo.text import printable
from pgyoyo.units import count_words, number, size_span, size_words, time_span, time_words

SHOWN = 0.1  # seconds; an estimate of less is not worth a line
PLACES = 5  # lines listed after the first line of a repeated finding


# --- The review ---


def ordered(review: Review) -> list[Sheet]:
    """The sheets, worst first, then in the order of applying."""
    return sorted(review.sheets, key=lambda sheet: min((finding.weight for finding in sheet.open), default=9))


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, worst first, then in the order of the file; suppressed ones last."""
    return sorted(findings, key=lambda finding: (finding.weight, finding.statement is None, finding.line))


def without_measures(review: Review) -> Review:
    """The review without what differs from run to run: durations, WAL, and the ages of the target's activity."""
    sheets = (
        replace(
            sheet,
            waits=(),
            statements=tuple(
                replace(each, work=replace(each.work, duration=None, wal=None), estimate=None)
                for each in sheet.statements
            ),
            live={
                name: replace(live, oldest_transaction=None, longest_query=None, running=None)
                for name, live in sheet.live.items()
            },
        )
        for sheet in review.sheets
    )
    return replace(review, sheets=tuple(sheets), activity=())


def last_line(review: Review) -> str:
    """The verdict on all sheets, or why there are none."""
    if not review.sheets:
        return printable(" ".join(made_on(review))).replace("\n", " ")
    return f"{verdict(review.worst)}: {counts(review.findings)} in {number(len(review.sheets), 'migration')}."


def counts(findings: Iterable[Finding]) -> str:
    """The number of findings of each severity: 1 error, 2 notes, 1 paperwork, 1 allowed; or "no findings"."""
    kinds = [finding.kind for finding in findings]
    words = [number(kinds.count(kind), kind) for kind in ("error", "warning", "note") if kind in kinds]
    words += [f"{kinds.count(PAPERWORK)} {PAPERWORK}"] if PAPERWORK in kinds else []
    words += [f"{kinds.count('allowed')} allowed"] if "allowed" in kinds else []
    return ", ".join(words) or "no findings"


def made_on(review: Review) -> list[str]:
    """The server, the sample rows and the target, a line each; or why nothing was reviewed."""
    if not review.sheets:
        return list(review.notes) or ["nothing to review"]
    rows = f"; rows of {review.data}" if review.data else "; no sample rows"
    lines = [f"Rehearsed on {review.server}{rows}."]
    if review.database:
        lines.append("; ".join([f"Sizes of {review.database}", *review.activity]) + ".")
    return [*lines, *review.notes]


def shape(sheet: Sheet) -> str:
    """3 statements, one transaction."""
    how = "one transaction" if sheet.transactional else "outside a transaction"
    how = "run as many short transactions" if sheet.batched else how
    return f"{number(len(sheet.statements), 'statement')}, {how}"


def is_sql(advice: str) -> bool:
    """Whether a workaround is SQL rather than a sentence."""
    return "\n" in advice.strip() or advice.startswith("--") or advice.rstrip().endswith(";")


# --- A statement ---


def lock_words(lock: Lock, live: dict[str, LiveTable]) -> str:
    """ACCESS EXCLUSIVE on cj_batch_states: 48 million rows, 6.2 GB."""
    new = "" if lock.relation.existed else " (created here)"
    table = live.get(lock.relation.name)
    size = f": {live_size(table)}" if table and lock.relation.existed else ""
    return f"{lock.mode} on {short(lock.relation.name)}{new}{size}"


def shown_locks(locks: Iterable[Lock]) -> list[Lock]:
    """The locks that a sheet shows: of those on one relation the strongest, these first."""
    strongest: dict[str, Lock] = {}
    for lock in sorted(locks, key=lambda lock: (-lock.strength, not lock.relation.existed, lock.relation.name)):
        if lock.shown:
            strongest.setdefault(lock.relation.name, lock)
    return list(strongest.values())


def held_words(statement: ObservedStatement) -> str:
    """The strongest lock held on each relation while the statement runs: ACCESS EXCLUSIVE on cj_batch_states."""
    return ", ".join(f"{lock.mode} on {short(lock.relation.name)}" for lock in shown_locks(statement.held))


def across_words(statement: ObservedStatement, lock: Lock) -> str:
    """How long the lock is held across later statements; empty if it ends with its own, or was held already."""
    ends = [new.until for new in statement.taken if (new.relation, new.mode) == (lock.relation, lock.mode)]
    last = max(ends, default=0)
    later = f"statement{'s' * (last > statement.number + 1)} {span(statement.number + 1, last)}"
    return f"held across {later}, to the COMMIT" if last > statement.number else ""


def work_words(run: Run) -> str:
    """The work besides locking: rewrite, scan of grades, 2,700 rows updated."""
    work, name = run.first.work, run.first.name
    kinds = (
        ("rewrite", work.rewritten),
        ("index built", work.built),
        ("emptied", work.emptied),
        ("scan", work.scanned),
    )
    words = [kind + _among(kind, [table.name for table in tables], name) for kind, tables in kinds if tables]
    sums: dict[tuple[str, str], int] = {}
    for statement in run.statements:
        for rows in statement.work.rows:
            for verb, count in (("inserted", rows.inserted), ("updated", rows.updated), ("deleted", rows.deleted)):
                key = verb, rows.relation.name
                sums[key] = sums.get(key, 0) + count
    words += [
        f"{number(count, 'row')} {verb}" + _among("rows", [table], name)
        for (verb, table), count in sums.items()
        if count
    ]
    return ", ".join(words)


def _among(kind: str, names: Sequence[str], statement: str) -> str:
    """The tables that the statement's own name doesn't contain."""
    known = statement.split()
    unnamed = [short(name) for name in names if short(name) not in known and name not in known]
    link = " in " if kind == "rows" else ": " if kind in ("index built", "emptied") else " of "
    return link + ", ".join(unnamed) if unnamed else ""


def changes_words(run: Run) -> str:
    """The number of catalog changes, or a single change by its name where the statement's doesn't contain it."""
    changes = [change for statement in run.statements for change in statement.changes]
    if len(changes) != 1 or short(re.split(r"[ (]", changes[0].identity)[0]) in run.name:
        return counts_words(changes)
    [change] = changes
    sign = "+" if change.before is None else "-" if change.after is None else "~"
    name = short(change.identity)
    for word in run.name.split():
        name = name.removeprefix(f"{word}.")
    return f"{sign} {change.kind} {name}".replace(" public.", " ")


def measured_words(run: Run) -> str:
    """The duration, and WAL of a megabyte or more: 27 ms, 1.2 MB WAL; or an estimate; empty if not measured."""
    if estimates := [statement.estimate for statement in run.statements if statement.estimate]:
        # What the same took on empty tables would only mislead.
        seconds = total(estimate.seconds for estimate in estimates)
        return f"about {time_span(seconds.low, seconds.high)}"
    times = [statement.work.duration for statement in run.statements if statement.work.duration is not None]
    wal = sum(statement.work.wal or 0 for statement in run.statements)
    words = [time_words(sum(times))] if times else []
    return ", ".join(words + ([f"{size_words(wal)} WAL"] if wal >= 1024 * 1024 else []))


# --- The target ---


def estimate_lines(sheet: Sheet) -> list[str]:
    """How long statements will take on the target's tables, what they write, and how long others wait; a line each."""
    lines = []
    for statement in sheet.statements:
        if (known := statement.estimate) and known.seconds.high >= SHOWN:
            words = [
                f"L{statement.line}: {time_span(known.seconds.low, known.seconds.high)} on {count_words(known.rows)} rows"
            ]
            words += [f"writes {size_span(known.written.low, known.written.high)}"] if known.written.high else []
            words += [f"needs {size_words(known.room)} of disk"] if known.room else []
            lines.append(", ".join(words))
    for wait in sheet.waits:
        if wait.seconds.high >= SHOWN:
            span = time_span(wait.seconds.low, wait.seconds.high)
            lines.append(f"{wait.blocked} of {short(wait.table)} blocked for {span}")
    return lines


# --- A finding ---


def grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    """The findings, those together that differ only in their place in the file."""
    groups: dict[Finding, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, line=0, statement=None), []).append(finding)
    return list(groups.values())


def places(findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
    """The first finding of each group, with the lines of the group: L17, L18."""
    result = []
    for group in grouped(findings):
        more = len(group) - 1 - PLACES
        lines = ", ".join(f"L{finding.line}" for finding in group[: PLACES + 1])
        result.append((group[0], lines + (f" and {more} more" if more > 0 else "")))
    return result


def pictured(text: str) -> set[int]:
    """The indexes of lines that must not be wrapped: a caret, and the line above that it points at."""
    lines = text.split("\n")
    return {n for i, line in enumerate(lines) if line.strip() == "^" for n in (i - 1, i)}


# --- The rollback ---


def rollback_words(rollback: Rollback) -> str:
    """The result of the proof, in a phrase."""
    words = {
        "proved": "restores the catalog exactly, and the migration can be applied again",
        "failed": "FAILED",
        "differs": "does not restore the catalog",
        "needs a reason": "restores the catalog, but loses rows without a reason",
        "missing": "there is none",
        "irreversible": "irreversible: " + "; ".join(rollback.lines),
    }.get(rollback.state, "not proved")
    if rollback.state == "proved" and rollback.lines:
        words = "proved, but"
    return words + (f"; lossy: {rollback.lossy}" if rollback.lossy else "")


def rollback_lines(rollback: Rollback) -> list[str]:
    """The details of the proof, line by line."""
    return [] if rollback.state == "irreversible" else [line for text in rollback.lines for line in text.splitlines()]


def unreported_lines(sheet: Sheet) -> Iterator[str]:
    """The details of the proof that no open finding contains."""
    reported = {line for finding in sheet.open if finding.source == "rollback" for line in finding.happens.splitlines()}
    return (line for line in rollback_lines(sheet.rollback) if line not in reported)
