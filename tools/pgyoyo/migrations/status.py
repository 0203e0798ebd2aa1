"""What the ledger holds and how the files differ from it, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pgyoyo.migrations.migration import Migration
from pgyoyo.sql.header import CONTRACT
from pgyoyo.units import time_words


class Applied(NamedTuple):
    """A row of the ledger; checksums are None where the plain yoyo wrote the row. Times are UTC, duration milliseconds.
    `adopted` is when the files of a row of plain yoyo's were recorded.

    The time is None in a row that another program wrote so.
    """

    id: str
    hash: str
    at: datetime | None
    checksum: str | None = None
    rollback_checksum: str | None = None
    duration: float | None = None
    by: str | None = None
    version: str | None = None
    adopted: datetime | None = None


class JournalLine(NamedTuple):
    """One statement of a migration outside a transaction; state is started, failed or done."""

    migration_id: str
    hash: str
    statement: int
    operation: str
    checksum: str
    state: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is that runs or was interrupted: rows done, seconds worked, share of the pages, 0 to 1.

    Of a file with several statements, of which `done` are done, all of that is about the present one.

    `idle` is the seconds since its last batch, `running` whether its session still holds the lock; `busy` the seconds in
    batches, `waiting` what it waits for, `paused` whether a person wants it to.
    """

    migration_id: str
    hash: str
    rows: int
    batches: int
    worked: float
    fraction: float
    idle: float
    running: bool
    busy: float | None = None
    waiting: str = ""
    done: int = 0
    paused: bool = False

    @property
    def efficiency(self) -> float | None:
        """The share of the time that it spent in batches; None while nothing is known."""
        return min(1.0, self.busy / self.worked) if self.worked and self.busy is not None else None

    @property
    def state(self) -> str:
        """In a word what it does."""
        return "interrupted" if not self.running else "waiting" if self.waiting else "running"

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.worked if self.worked else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to go at the same rate; None while nothing is known."""
        return self.worked * (1 - self.fraction) / self.fraction if self.fraction else None

    def __str__(self) -> str:
        words = [f"statement {self.done + 1}"] if self.done else []
        words += [f"{self.fraction:.0%}", f"{self.rows:,} rows", f"{self.rate:,.0f} rows/s"]
        if self.efficiency is not None:
            words.append(f"busy {self.efficiency:.0%}")
        if self.left is not None:
            words.append(f"{time_words(self.left * 1000)} left")
        if self.waiting and self.running:
            words.append(f"waits: {self.waiting}")
        elif self.paused and not self.running:
            words.append("paused: pgyoyo backfill resume")
        return "  ".join(words)


class Renamed(NamedTuple):
    """A migration whose file got another name after it was applied."""

    row: Applied
    migration: Migration


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was applied, in that order; schema (quoted where needed) is None while there is no ledger.

    `notes` are what a user should know of how it was found.
    """

    schema: str | None
    applied: tuple[Applied, ...]
    journal: tuple[JournalLine, ...] = ()
    has_own_tables: bool = False
    backfills: tuple[Progress, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The migrations as files and ledger have them; `schema` is the ledger's, quoted where needed, None while there is none.

    `applied` and `missing` stand in the order of applying, the rest in yoyo's order. `out_of_order` are the pending ones that
    sort before an applied one, `renamed` those that were applied under the id of a missing file. `phases` has the phase of
    each that is of one, by hash.
    """

    schema: str | None
    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]
    edited: tuple[Migration, ...]
    missing: tuple[Applied, ...]
    out_of_order: tuple[Migration, ...]
    journal: tuple[JournalLine, ...] = ()
    backfills: tuple[Progress, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    phases: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.pending:
            return f"{len(self.applied)} applied, none pending."
        counts = f"{len(self.applied)} applied, {len(self.pending)} pending"
        contracts = [migration.apply.header.phase == CONTRACT for migration in self.pending]
        if all(contracts):
            return f"{counts}; next, once the old release runs nowhere: pgyoyo apply --phase contract"
        return f"{counts}; next: pgyoyo apply" + (" --phase expand" if any(contracts) else "")
