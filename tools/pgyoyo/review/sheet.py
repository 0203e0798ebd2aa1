"""The facts and findings of a review: the rules read them, the renderers show them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.spans import Estimate, Wait
from pgyoyo.review.trial import ScaleTrial

# paperwork: nothing is dangerous, but a reason or a file is missing.
ERROR, WARNING, PAPERWORK, NOTE = "error", "warning", "paperwork", "note"
SEVERITIES = (ERROR, WARNING, PAPERWORK, NOTE)  # worst first
RAN, FAILED, NOT_REACHED = "ran", "failed", "not reached"

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
    """A table, index, view, … under the name it had when it was observed.

    `existed`: before the migration under review; a lock on a relation that the migration itself created blocks nobody.
    `table`: the table that an index is on, or the parent of a partition or child.
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
        """What it blocks, as a phrase: "blocks writes"."""
        return MODES[self.mode]

    @property
    def strength(self) -> int:
        """0 for ACCESS SHARE to 7 for ACCESS EXCLUSIVE."""
        return _STRENGTH[self.mode]

    @property
    def strong(self) -> bool:
        """Whether it blocks writes, or reads too, on a relation that existed before."""
        return self.relation.existed and self.strength >= _STRENGTH["SHARE"]

    @property
    def shown(self) -> bool:
        """Whether a sheet shows it: it blocks more than schema changes, and is not on an index."""
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
        """The sum of the three."""
        return self.inserted + self.updated + self.deleted

    def __str__(self) -> str:
        parts = (("inserted", self.inserted), ("updated", self.updated), ("deleted", self.deleted))
        return ", ".join(f"{count:,} {verb}" for verb, count in parts if count) + f" in {self.relation.name}"


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement did apart from locking; `duration` (milliseconds) and `wal` (bytes) differ from run to run.

    `scanned`: read as a whole, or the more of it the more rows it has. `growing`: the rows changed in the bigger tables of a
    scale trial, where the smaller ones had fewer; `cascading`: those of a statement that is itself about a few rows, whose
    foreign keys or triggers change them. `unmeasured`: tables that it may change, where nothing could be measured.
    """

    rewritten: tuple[Relation, ...] = ()
    built: tuple[Relation, ...] = ()  # indexes with a new file, on tables that existed before
    emptied: tuple[Relation, ...] = ()
    scanned: tuple[Relation, ...] = ()
    rows: tuple[Rows, ...] = ()
    growing: tuple[Rows, ...] = ()
    cascading: tuple[Rows, ...] = ()
    unmeasured: tuple[Relation, ...] = ()
    duration: float | None = None
    wal: int | None = None


@dataclass(frozen=True, slots=True)
class ObservedStatement:
    """One statement and what was observed while it ran.

    `taken`: the locks that were not held before it. `alone`: the locks it takes when it runs by itself, None where it could
    not. `held`: the strong locks that were held already. `lock_timeout`: the one in force, in milliseconds, 0 for none.
    `trial`: its measures on sample rows, where it was tried, which differ from run to run.
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
    trial: ScaleTrial | None = field(default=None, compare=False)
    estimate: Estimate | None = field(default=None, compare=False)

    @property
    def did(self) -> bool:
        """Whether it changed the catalog, or did any work."""
        work = self.work
        return any((self.changes, work.rewritten, work.built, work.emptied, work.scanned, work.rows))

    @property
    def takes(self) -> tuple[Lock, ...]:
        """The locks it takes, including those that were held already; the strongest first."""
        locks = self.taken if self.alone is None else self.alone
        return tuple(sorted(locks, key=lambda lock: (-lock.strength, not lock.relation.existed, lock.relation.name)))


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem to look at: what happens, its effect, and the workaround.

    `source` is measured, live, squawk or rollback; `allowed` is the reason given by the comment that suppresses it.
    """

    rule: str
    severity: str
    path: Path
    line: int
    statement: int | None
    happens: str
    effect: str = ""
    workaround: str = ""
    source: str = "measured"
    allowed: str | None = None
    url: str = ""

    @property
    def weight(self) -> int:
        """For sorting: 0 is worst; suppressed findings come last."""
        return len(SEVERITIES) if self.allowed else SEVERITIES.index(self.severity)

    @property
    def is_loud(self) -> bool:
        """Whether it is shown with its advice: it is open, and more than a note."""
        return self.weight < SEVERITIES.index(NOTE)

    @property
    def kind(self) -> str:
        """The severity, or "allowed"."""
        return "allowed" if self.allowed else self.severity


@dataclass(frozen=True, slots=True)
class Spread:
    """A table in the members of a fleet: how many have it, where it is largest, the median and the sum; None: unknown."""

    members: int
    largest: str | None
    median_rows: int | None
    median_size: int | None
    total_rows: int | None
    total_size: int | None


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table of the target as it is now; rows are the planner's estimate, sizes bytes, ages seconds; None: unknown.

    The ages are those of the oldest transaction and the longest running query that hold a lock on it. `remarks` is what is
    wrong with it already, `running` the VACUUM that works on it now. With `fleet` it is the largest of a fleet's members.
    """

    rows: int | None
    size: int | None
    indexes: int
    index_size: int | None
    oldest_transaction: float | None
    longest_query: float | None
    remarks: tuple[str, ...] = ()
    running: str | None = None
    fleet: Spread | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """The rollback file, and its proof: `state` is one of these.

    proved; failed: it, or applying again after it, ends with an error; differs: it leaves another catalog; needs a reason: it
    restores the catalog, but not the rows; missing; irreversible; not proved.
    """

    state: str = "not proved"
    lines: tuple[str, ...] = ()
    lossy: str | None = None
    path: Path | None = None
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet of one migration; `batched`: its UPDATE runs as many short transactions; `waits`: estimates."""

    id: str
    path: Path
    title: str
    transactional: bool
    statements: tuple[ObservedStatement, ...]
    locks: tuple[Lock, ...] = ()
    findings: tuple[Finding, ...] = ()
    rollback: Rollback = Rollback()
    live: dict[str, LiveTable] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    batched: bool = False
    waits: tuple[Wait, ...] = ()

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that no comment suppresses."""
        return tuple(finding for finding in self.findings if not finding.allowed)

    @property
    def worst(self) -> str | None:
        """The worst severity of the open findings; None without any."""
        return min((finding.severity for finding in self.open), key=SEVERITIES.index, default=None)

    @property
    def timeline_locks(self) -> tuple[Lock, ...]:
        """The locks that a timeline draws, in the order of taking."""
        return tuple(lock for lock in self.locks if lock.shown and lock.relation.existed)


@dataclass(frozen=True, slots=True)
class Review:
    """All sheets, in the order of applying, and what they were made on."""

    sheets: tuple[Sheet, ...]
    server: str  # "PostgreSQL 18.4, TimeZone UTC"
    data: str | None = None  # the file of sample rows, and the migration before which it was loaded
    database: str | None = None  # the target whose table sizes are shown
    activity: tuple[str, ...] = ()  # its oldest transaction and longest query
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> Iterator[Finding]:
        """All findings of all sheets."""
        return (finding for sheet in self.sheets for finding in sheet.findings)

    @property
    def worst(self) -> str | None:
        """The worst severity of the open findings of all sheets."""
        return min((sheet.worst for sheet in self.sheets if sheet.worst), key=SEVERITIES.index, default=None)

    def counts(self) -> dict[str, int]:
        """The number of open findings of each severity, and of those that are allowed."""
        kinds = [finding.kind for finding in self.findings]
        return {kind: kinds.count(kind) for kind in (*SEVERITIES, "allowed")}


def verdict(worst: str | None) -> str:
    """The verdict that a sheet begins with."""
    words = {
        ERROR: "DO NOT RUN AS WRITTEN", WARNING: "LOOK AT IT FIRST",
        PAPERWORK: "FINE TO RUN; its rollback needs a reason",
    }  # fmt: skip
    return words.get(worst or "", "FINE TO RUN")
