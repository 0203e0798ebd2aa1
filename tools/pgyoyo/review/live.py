"""What the target adds to a review: sizes, activity, and findings that a small table doesn't deserve."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from psycopg import Connection

from pgyoyo.review import calibrate, estimate, target
from pgyoyo.review.live_checks import with_live_checks
from pgyoyo.review.sheet import NOTE, Finding, LiveTable, ObservedStatement, Relation, Review, Sheet
from pgyoyo.review.sizes import Sizes
from pgyoyo.units import number, size_words, time_span

SMALL = 10 * 1024 * 1024  # bytes, indexes included
# The rules whose harm is the time that work on the table takes. Not among them is a lock that is waited for, or lost data.
TIMED = frozenset((
    "lock-held-while-working", "volatile-default", "add-serial-column", "add-stored-column", "change-column-type",
    "rewrite-storage", "table-rewrite", "timezone-dependent-type", "refresh-blocks-readers", "check-scans",
    "set-not-null-scans", "foreign-key-scans", "validate-under-lock", "index-not-concurrently", "unique-builds-index",
    "primary-key-sets-not-null", "exclusion-constraint", "reindex-not-concurrently", "domain-constraint-scans",
    "validate-domain-scans", "add-domain-column", "vacuum-full", "cluster", "not-measured",
    "attach-partition-scans", "scan-under-lock", "update-not-batched", "delete-not-batched", "cascade-changes-many",
    "squawk:adding-field-with-default", "squawk:adding-foreign-key-constraint", "squawk:adding-serial-primary-key-field",
    "squawk:changing-column-type", "squawk:constraint-missing-not-valid", "squawk:disallowed-unique-constraint",
    "squawk:require-concurrent-index-creation", "squawk:require-concurrent-reindex",
))  # fmt: skip
_TABLES = ("table", "partitioned table", "materialized view")


def with_live(review: Review, conn: Connection, database: str) -> Review:
    """The same review with the target's table sizes and activity now, and with what its rows will refuse; read-only."""
    live = target.tables(conn, tables_of(review))
    transaction, query = target.activity(conn)
    ages = (("the oldest transaction", transaction), ("the longest query", query))
    activity = tuple(f"{what} is {age:.0f} s old" for what, age in ages if age is not None)
    return with_live_checks(replace(_placed(review, live), database=database, activity=activity), conn)


def with_sizes(review: Review, sizes: Sizes) -> Review:
    """The same review with the sizes of a file in the place of the target's."""
    words = "" if sizes.members is None else f", the largest of {number(sizes.members, 'member')}"
    return replace(_placed(review, sizes.tables), database=f"{sizes.path}{words}")


def with_tables(review: Review, tables: Mapping[str, LiveTable], where: str) -> Review:
    """The same review with the sizes of these tables, which are `where` says."""
    return replace(_placed(review, tables), database=where)


def tables_of(review: Review) -> set[str]:
    """The tables whose sizes a review shows, as the server quotes them."""
    return set().union(*map(_names, review.sheets))


def with_estimates(review: Review, admin: Connection) -> Review:
    """The same review with estimates by the sizes it has, and the rates of the scratch server's machine."""
    if not any(map(estimate.needs_rates, review.sheets)):
        return review
    rates = calibrate.rates(admin)
    return replace(review, sheets=tuple(estimate.estimated(sheet, rates) for sheet in review.sheets))


def longest_waits(review: Review, limit: float) -> list[str]:
    """Who may have to wait for longer than that many seconds for a migration, a line each."""
    return [
        f"{sheet.id}: {wait.blocked} of {wait.table} blocked for {time_span(wait.seconds.low, wait.seconds.high)}"
        for sheet in review.sheets for wait in sheet.waits if wait.seconds.high > limit
    ]  # fmt: skip


def softened(review: Review, small: int) -> Review:
    """The same review with a note in the place of a finding on the time that tables take which are smaller than that.

    `small` is in bytes, indexes included. All tables that the statement locks strongly or works on have to be so; a table
    of no known size is not.
    """
    return replace(review, sheets=tuple(_softened(sheet, small) for sheet in review.sheets))


def _placed(review: Review, tables: Mapping[str, LiveTable]) -> Review:
    sheets = (
        replace(sheet, live={name: tables[name] for name in sorted(_names(sheet)) if name in tables})
        for sheet in review.sheets
    )
    return replace(review, sheets=tuple(sheets))


def _names(sheet: Sheet) -> set[str]:
    locked = {lock.relation for lock in sheet.locks}
    relations = locked.union(*map(concerned, sheet.statements))
    return {
        name for relation in relations if relation.existed and relation.kind != "index"
        for name in (relation.name, relation.table) if name
    }  # fmt: skip


def concerned(statement: ObservedStatement) -> set[Relation]:
    """The tables of before the migration that a statement locks strongly, finds locked strongly, or works on."""
    work = statement.work
    relations = {lock.relation for lock in (*statement.takes, *statement.held) if lock.strong}
    relations.update(work.rewritten, work.emptied, work.scanned, work.unmeasured)
    relations.update(rows.relation for rows in (*work.rows, *work.growing, *work.cascading))
    return {relation for relation in relations if relation.existed and relation.kind in _TABLES}


def _softened(sheet: Sheet, small: int) -> Sheet:
    tables = {statement.number: concerned(statement) for statement in sheet.statements}
    findings = (
        _noted(finding, tables.get(finding.statement or 0, ()), sheet.live, small) for finding in sheet.findings
    )
    return replace(sheet, findings=tuple(findings))


def _noted(finding: Finding, tables: Collection[Relation], live: Mapping[str, LiveTable], small: int) -> Finding:
    if finding.rule not in TIMED or finding.severity == NOTE or not tables:
        return finding
    sizes = {table.name: _bytes(table, live) for table in tables}
    if any(size is None or size >= small for size in sizes.values()):
        return finding
    words = ", ".join(
        f"{name.removeprefix('public.')} ({size_words(size or 0)})" for name, size in sorted(sizes.items())
    )
    return replace(finding, severity=NOTE, happens=f"{finding.happens}; small there: {words}")


def _bytes(table: Relation, live: Mapping[str, LiveTable]) -> int | None:
    """The size of a table with its indexes; of a partition that is not there, that of its parent."""
    known = live.get(table.name) or live.get(table.table or "")
    return None if known is None or known.size is None else known.size + (known.index_size or 0)
