"""What the renderers of a review have in common: facts as short words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pgyoyo.review.render.folding import Run, counts_words, span
from pgyoyo.review.sheet import Finding, Live, Lock, Review, Seen, Sheet, Undo
from pgyoyo.units import time_words

PLACES = 5  # of a finding, after its first


def ordered(review: Review) -> list[Sheet]:
    """The sheets, worst first, those alike in the order of applying."""
    return sorted(review.sheets, key=lambda sheet: min((one.weight for one in sheet.open), default=9))


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings, worst first, those alike in the order of the file; allowed ones last."""
    return sorted(findings, key=lambda one: (one.weight, one.statement is None, one.line))


def without_measures(review: Review) -> Review:
    """The same without what two runs measure differently: durations, WAL, and the ages of what runs on the target."""
    sheets = (
        replace(
            sheet,
            statements=tuple(replace(one, work=replace(one.work, duration=None, wal=None)) for one in sheet.statements),
            live={name: replace(live, transaction=None, query=None) for name, live in sheet.live.items()},
        )
        for sheet in review.sheets
    )
    return replace(review, sheets=tuple(sheets), activity=())


# --- Of the whole ---


def number(count: int, word: str) -> str:
    """1 error, 2 errors."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def counts(findings: Iterable[Finding]) -> str:
    """How many of each severity: 1 error, 2 notes, 1 allowed; or "no findings"."""
    found = [("allowed" if one.allowed else one.severity) for one in findings]
    words = [number(found.count(word), word) for word in ("error", "warning", "note") if word in found]
    words += [f"{found.count('allowed')} allowed"] if "allowed" in found else []
    return ", ".join(words) or "no findings"


def made_on(review: Review) -> list[str]:
    """Lines that say what the sheets were made on."""
    if not review.sheets:
        return list(review.notes) or ["nothing to review"]
    rows = f"; rows of {review.data}" if review.data else "; no sample rows"
    lines = [f"Rehearsed on {review.server}{rows}."]
    if review.database:
        lines.append("; ".join([f"Sizes of {review.database}", *review.activity]) + ".")
    return [*lines, *review.notes]


def shape(sheet: Sheet) -> str:
    """3 statements, one transaction."""
    how = "one transaction" if sheet.transactional else "outside of a transaction"
    how = "run as many short transactions" if sheet.batched else how
    return f"{number(len(sheet.statements), 'statement')}, {how}"


def is_sql(advice: str) -> bool:
    """Whether the safer way is told in SQL, and not in a sentence."""
    return "\n" in advice.strip() or advice.startswith("--") or advice.rstrip().endswith(";")


# --- Of a statement ---


def short(name: str) -> str:
    """The name without the schema that everybody expects."""
    return name.removeprefix("public.")


def lock_words(lock: Lock, live: dict[str, Live]) -> str:
    """ACCESS EXCLUSIVE on cj_batch_states: 48 million rows, 6.2 GB."""
    new = "" if lock.relation.existed else " (made here)"
    here = live.get(lock.relation.name)
    size = f": {live_size(here)}" if here and lock.relation.existed else ""
    return f"{lock.mode} on {short(lock.relation.name)}{new}{size}"


def shown_locks(one: Seen) -> list[Lock]:
    """The locks worth a person's eye, the strongest on each relation."""
    found: dict[str, Lock] = {}
    for lock in one.takes:
        if lock.shown:
            found.setdefault(lock.relation.name, lock)
    return list(found.values())


def held_words(one: Seen) -> str:
    """What is held while the statement runs, the strongest on each relation: ACCESS EXCLUSIVE on cj_batch_states."""
    found: dict[str, str] = {}
    for lock in sorted(one.held, key=lambda lock: (-lock.strength, lock.relation.name)):
        if lock.shown:
            found.setdefault(short(lock.relation.name), lock.mode)
    return ", ".join(f"{mode} on {name}" for name, mode in found.items())


def across_words(one: Seen, lock: Lock) -> str:
    """How long it is held across later statements; empty for one that ends with its own, or that was held already."""
    ends = [new.until for new in one.taken if (new.relation, new.mode) == (lock.relation, lock.mode)]
    last = max(ends, default=0)
    later = f"statement{'s' * (last > one.number + 1)} {span(one.number + 1, last)}"
    return f"held across {later}, to the COMMIT" if last > one.number else ""


def until_words(lock: Lock, sheet: Sheet) -> str:
    """How long a lock is held: to the end of the transaction, across later statements."""
    last = len(sheet.statements)
    across = f" across {span(lock.taken + 1, lock.until)}" if lock.until > lock.taken else ""
    end = " to the COMMIT" if sheet.transactional and not sheet.batched and lock.until == last else ""
    return f"from {lock.taken}{across}{end}"


def work_words(run: Run) -> str:
    """What is done besides locking: rewrite, scan of grades, 2,700 rows updated. A table that the name says is not named."""
    work, name = run.first.work, run.first.name
    kinds = (
        ("rewrite", work.rewritten),
        ("index built", work.built),
        ("emptied", work.emptied),
        ("scan", work.scanned),
    )
    words = [kind + _among(kind, [one.name for one in relations], name) for kind, relations in kinds if relations]
    sums: dict[tuple[str, str], int] = {}
    for one in run.statements:
        for rows in one.work.rows:
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
    """The tables, where the statement's own name does not tell."""
    told = statement.split()
    others = [short(name) for name in names if short(name) not in told and name not in told]
    link = " in " if kind == "rows" else ": " if kind in ("index built", "emptied") else " of "
    return link + ", ".join(others) if others else ""


def changes_words(run: Run) -> str:
    """The same of a run; a single change by its name that the statement's doesn't tell: + column total."""
    changes = [change for one in run.statements for change in one.changes]
    if len(changes) != 1 or short(re.split(r"[ (]", changes[0].identity)[0]) in run.name:
        return counts_words(changes)
    [change] = changes
    sign = "+" if change.before is None else "-" if change.after is None else "~"
    name = short(change.identity)
    for word in run.name.split():
        name = name.removeprefix(f"{word}.")
    return f"{sign} {change.kind} {name}".replace(" public.", " ")


def measured_words(run: Run) -> str:
    """How long it took and how much WAL it wrote: 27 ms, 1.0 MB WAL; empty where that is not known."""
    times = [one.work.duration for one in run.statements if one.work.duration is not None]
    wal = sum(one.work.wal or 0 for one in run.statements)
    words = [time_words(sum(times))] if times else []
    return ", ".join(words + ([f"{size_words(wal)} WAL"] if wal >= 1024 * 1024 else []))


# --- Of the target ---


def live_size(live: Live) -> str:
    """48 million rows, 6.2 GB."""
    rows = "" if live.rows is None else f"{count_words(live.rows)} rows"
    size = "" if live.size is None else size_words(live.size)
    return ", ".join(word for word in (rows, size) if word) or "size not known"


def live_words(name: str, live: Live) -> str:
    """All that is known of a table of the target now."""
    of = f" of {size_words(live.index_size)}" if live.index_size else ""
    words = f"{short(name)}: {live_size(live)}, {number(live.indexes, 'index').replace('indexs', 'indexes')}{of}"
    ages = (("oldest transaction on it", live.transaction), ("longest query on it", live.query))
    return "; ".join([words, *(f"{what} {time_words(age * 1000)}" for what, age in ages if age is not None)])


def count_words(count: int) -> str:
    """48 million; 2,700."""
    if count >= 1_000_000_000:
        return f"{count / 1_000_000_000:.1f} billion"
    if count >= 1_000_000:
        return f"{count / 1_000_000:.3g} million"
    return f"{count:,}"


def size_words(size: int) -> str:
    """6.2 GB, in units of 1,024 as PostgreSQL's own pg_size_pretty."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


# --- Of a finding ---


def places(findings: Sequence[Finding]) -> list[tuple[Finding, str]]:
    """Those that say the same of several lines once, each with its lines: L17, L18."""
    groups: dict[object, list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.rule, one.severity, one.path, one.happens, one.allowed), []).append(one)
    return [
        (first, ", ".join(f"L{one.line}" for one in (first, *rest[:PLACES])) + f" and {len(rest) - PLACES} more"
         * (len(rest) > PLACES)) for first, *rest in groups.values()
    ]  # fmt: skip


def pictured(text: str) -> set[int]:
    """The numbers of the lines, from 0, that must stay as they are: a caret points at what stands above it."""
    lines = text.split("\n")
    return {n for i, line in enumerate(lines) if line.strip() == "^" for n in (i - 1, i)}


# --- Of the rollback ---


def undo_words(undo: Undo) -> str:
    """The first line on the rollback."""
    words = {
        "proved": "restores the catalog exactly, and the migration can be applied again",
        "failed": "FAILED",
        "irreversible": "irreversible: " + "; ".join(undo.lines),
    }.get(undo.word, "not proved")
    if undo.word == "proved" and undo.lines:
        words = "proved, but"
    return words + (f"; lossy: {undo.lossy}" if undo.lossy else "")


def untold_lines(sheet: Sheet) -> Iterator[str]:
    """What was seen of it besides, where no finding says it."""
    told = {line for one in sheet.open if one.source == "rollback" for line in one.happens.splitlines()}
    return (line for line in undo_lines(sheet.undo) if line.removeprefix("rollback: ") not in told)


def undo_lines(undo: Undo) -> Iterator[str]:
    """What was seen of it besides."""
    if undo.word != "irreversible":
        for text in undo.lines:
            yield from text.splitlines()
