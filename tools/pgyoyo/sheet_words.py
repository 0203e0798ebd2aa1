"""What the renderers of a review have in common: runs of like statements, and facts as short words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pgyoyo.catalog import Change
from pgyoyo.report import time_words
from pgyoyo.sheet import FAILED, NOT_REACHED, RAN, Finding, Live, Lock, Review, Seen, Sheet, Undo

FEWEST_FOLDED = 3  # two rows tell as much as one, and more plainly


@dataclass(frozen=True, slots=True)
class Run:
    """One statement, or several in a row that are alike in all that a sheet shows of them."""

    statements: tuple[Seen, ...]

    @property
    def first(self) -> Seen:
        """The one that speaks for all."""
        return self.statements[0]

    @property
    def folded(self) -> bool:
        """Whether it is more than one."""
        return len(self.statements) > 1

    @property
    def numbers(self) -> str:
        """7, or the first and the last of several."""
        return _span(self.first.number, self.statements[-1].number)

    @property
    def lines(self) -> str:
        """The lines on which they begin."""
        return _span(self.first.line, self.statements[-1].line)

    @property
    def name(self) -> str:
        """What they do, in a few words, and how many there are of them."""
        several = {one.name for one in self.statements}
        name = self.first.name if len(several) == 1 else "…"
        return f"{name} ({len(self.statements):,} statements)" if self.folded else name

    @property
    def state(self) -> str:
        """Ran, failed or not reached."""
        return self.first.state


def runs(sheet: Sheet) -> list[Run]:
    """The statements of a sheet, long runs of like ones as one; what has a finding always stands alone."""
    marked = {finding.statement for finding in sheet.findings}
    rows = []
    for _, group in groupby(sheet.statements, key=lambda one: _likeness(one, marked)):
        alike = tuple(group)
        rows += [Run(alike)] if len(alike) >= FEWEST_FOLDED else [Run((one,)) for one in alike]
    return rows


def _likeness(one: Seen, marked: set[int | None]) -> tuple[object, ...]:
    if one.number in marked or one.state == FAILED:
        return (one.number,)
    if one.state == NOT_REACHED:
        return (NOT_REACHED,)
    locks = tuple((lock.mode, lock.relation) for lock in one.takes if lock.shown)
    held = frozenset((lock.mode, lock.relation) for lock in one.held)
    work = (one.work.rewritten, one.work.built, one.work.emptied, one.work.scanned)
    return (RAN, one.name, locks, held, work, counts_words(one.changes), bool(one.work.rows))


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
        return list(review.notes)
    rows = f"; rows of {review.data}" if review.data else "; no sample rows"
    lines = [f"Rehearsed on {review.server}{rows}."]
    if review.database:
        lines.append("; ".join([f"Sizes of {review.database}", *review.activity]) + ".")
    return [*lines, *review.notes]


def shape(sheet: Sheet) -> str:
    """3 statements, one transaction."""
    how = "one transaction" if sheet.transactional else "outside of a transaction"
    if sheet.batched:
        how = "run as many short transactions"
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
        found.setdefault(short(lock.relation.name), lock.mode)
    return ", ".join(f"{mode} on {name}" for name, mode in found.items())


def until_words(lock: Lock, sheet: Sheet) -> str:
    """How long a lock is held: to the end of the transaction, across later statements."""
    last = len(sheet.statements)
    across = f" across {_span(lock.taken + 1, lock.until)}" if lock.until > lock.taken else ""
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


def counts_words(changes: Sequence[Change]) -> str:
    """How many things of the catalog are added, changed, removed: +1 ~2 -1."""
    added = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    parts = (("+", added), ("~", len(changes) - added - removed), ("-", removed))
    return " ".join(f"{sign}{count}" for sign, count in parts if count)


def changes_words(run: Run) -> str:
    """The same of a run."""
    return counts_words([change for one in run.statements for change in one.changes])


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


def undo_lines(undo: Undo) -> Iterator[str]:
    """What was seen of it besides."""
    if undo.word != "irreversible":
        for text in undo.lines:
            yield from text.splitlines()


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"  # noqa: RUF001 - an en dash, as between any two numbers
