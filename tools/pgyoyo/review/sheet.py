"""What a review saw of each migration and thinks of it: facts, for the rules to read and the renderers to show."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pgyoyo.catalog.snapshot import Change

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)  # worst first

# PostgreSQL manual, 13.3.1 Table-Level Locks: the modes from weakest to strongest, and what each blocks.
MODES = {
    "ACCESS SHARE": "blocks nothing but ACCESS EXCLUSIVE",
    "ROW SHARE": "blocks schema changes",
    "ROW EXCLUSIVE": "blocks schema changes and index builds",
    "SHARE UPDATE EXCLUSIVE": "blocks schema changes and VACUUM",
    "SHARE": "blocks writes",
    "SHARE ROW EXCLUSIVE": "blocks writes",
    "EXCLUSIVE": "blocks writes and SELECT … FOR UPDATE",
    "ACCESS EXCLUSIVE": "blocks reads and writes",
}
_STRENGTH = {mode: strength for strength, mode in enumerate(MODES)}


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """A table, index, view, … as it was called when it was seen; `table` is whose index, partition or child it is.

    `existed` says whether it was there before the migration under review: a lock on what the migration made harms nobody.
    """

    name: str
    kind: str
    existed: bool
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on a relation, held from statement `taken` to statement `until` (numbers from 1), or to the COMMIT after it."""

    relation: Relation
    mode: str
    taken: int
    until: int

    @property
    def blocks(self) -> str:
        """What it blocks, in plain words."""
        return MODES[self.mode]

    @property
    def strength(self) -> int:
        """0 for ACCESS SHARE to 7 for ACCESS EXCLUSIVE."""
        return _STRENGTH[self.mode]

    @property
    def strong(self) -> bool:
        """Whether it keeps others from writing, or even reading, what was there before."""
        return self.relation.existed and self.strength >= _STRENGTH["SHARE"]

    @property
    def shown(self) -> bool:
        """Whether a person wants to see it: what it hinders is more than a schema change, and it is no index's own lock."""
        return self.strength >= _STRENGTH["SHARE UPDATE EXCLUSIVE"] and self.relation.kind != "index"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that a statement changed in a table, triggers and cascades included."""

    relation: Relation
    inserted: int
    updated: int
    deleted: int

    @property
    def count(self) -> int:
        """How many rows in all."""
        return self.inserted + self.updated + self.deleted

    def __str__(self) -> str:
        parts = (("inserted", self.inserted), ("updated", self.updated), ("deleted", self.deleted))
        return ", ".join(f"{count:,} {word}" for word, count in parts if count) + f" in {self.relation.name}"


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement did besides taking locks; `duration` in milliseconds and `wal` in bytes are measured, and vary."""

    rewritten: tuple[Relation, ...] = ()
    built: tuple[Relation, ...] = ()  # indexes whose file was written anew, of tables that were there before
    emptied: tuple[Relation, ...] = ()
    scanned: tuple[Relation, ...] = ()
    rows: tuple[Rows, ...] = ()
    duration: float | None = None
    wal: int | None = None


RAN, FAILED, NOT_REACHED = "ran", "failed", "not reached"


@dataclass(frozen=True, slots=True)
class Seen:
    """One statement as it was seen to run.

    `taken` are the locks that were not held before it; `alone` those that it takes when it runs by itself, None where that
    could not be seen; `held` the strong ones that were held already. `lock_timeout` is the one in force, 0 for none.
    """

    number: int
    line: int
    sql: str
    name: str
    state: str = RAN
    error: str | None = None
    sqlstate: str | None = None
    taken: tuple[Lock, ...] = ()
    alone: tuple[Lock, ...] | None = None
    held: tuple[Lock, ...] = ()
    work: Work = Work()
    changes: tuple[Change, ...] = ()
    lock_timeout: int = 0

    @property
    def takes(self) -> tuple[Lock, ...]:
        """The locks that it takes, whether or not they were held already, the strongest first."""
        found = self.taken if self.alone is None else self.alone
        return tuple(sorted(found, key=lambda lock: (-lock.strength, not lock.relation.existed, lock.relation.name)))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should look at: what happens, whom it hurts, the safer SQL.

    `source` is measured, squawk or rollback; `allowed` is the reason of the comment that silences it.
    """

    rule: str
    severity: str
    path: Path
    line: int
    statement: int | None
    happens: str
    hurts: str = ""
    safer: str = ""
    source: str = "measured"
    allowed: str | None = None
    url: str = ""

    @property
    def weight(self) -> int:
        """For sorting: 0 is worst; an allowed one comes after all others."""
        return len(SEVERITIES) if self.allowed else SEVERITIES.index(self.severity)


@dataclass(frozen=True, slots=True)
class Live:
    """A table of the target as it is now; rows are the planner's estimate, sizes bytes, ages seconds, None where unknown.

    `transaction` and `query` are the oldest transaction and the longest running query that hold a lock on it.
    """

    rows: int | None
    size: int | None
    indexes: int
    index_size: int | None
    transaction: float | None
    query: float | None


@dataclass(frozen=True, slots=True)
class Undo:
    """What became of the rollback on the scratch database: `word` is proved, failed, irreversible or not proved."""

    word: str
    lines: tuple[str, ...] = ()
    lossy: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet of one migration."""

    id: str
    path: Path
    title: str
    transactional: bool
    statements: tuple[Seen, ...]
    locks: tuple[Lock, ...] = ()
    findings: tuple[Finding, ...] = ()
    undo: Undo = Undo("not proved")
    undo_path: Path | None = None
    undo_sql: str = ""
    live: dict[str, Live] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    batched: bool = False  # its UPDATE runs as many short transactions

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that nobody allowed, worst first."""
        return tuple(one for one in self.findings if not one.allowed)

    @property
    def worst(self) -> str | None:
        """The worst severity among them; None without any."""
        return min((one.severity for one in self.open), key=SEVERITIES.index, default=None)

    @property
    def lines_of_life(self) -> tuple[Lock, ...]:
        """The locks whose life a timeline shows, in the order of taking."""
        return tuple(lock for lock in self.locks if lock.shown and lock.relation.existed)


@dataclass(frozen=True, slots=True)
class Review:
    """All sheets, in the order of applying, and what they were made on."""

    sheets: tuple[Sheet, ...]
    server: str  # "PostgreSQL 18.4, TimeZone UTC"
    data: str | None = None  # the file of sample rows, and before which migration it was loaded
    database: str | None = None  # the target that was looked at
    activity: tuple[str, ...] = ()  # its oldest transaction and longest query
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> Iterator[Finding]:
        """All findings of all sheets."""
        return (finding for sheet in self.sheets for finding in sheet.findings)

    @property
    def worst(self) -> str | None:
        """The worst severity that nobody allowed."""
        return min((sheet.worst for sheet in self.sheets if sheet.worst), key=SEVERITIES.index, default=None)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity, and how many that are allowed."""
        found = list(self.findings)
        counts = {
            severity: sum(one.severity == severity and not one.allowed for one in found) for severity in SEVERITIES
        }
        return counts | {"allowed": sum(one.allowed is not None for one in found)}


def verdict(worst: str | None) -> str:
    """The verdict that a sheet begins with."""
    return {ERROR: "DO NOT RUN AS WRITTEN", WARNING: "LOOK AT IT FIRST"}.get(worst or "", "FINE TO RUN")
