"""A review: migrations rehearsed on scratch databases, and every finding about them."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine import connection, failures
from pgyoyo.errors import PgyoyoError, UsageError
from pgyoyo.migrations import checks
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.prove import proof
from pgyoyo.prove.parallel import Proving
from pgyoyo.prove.proof import Proof
from pgyoyo.review import rules, squawk, suppressions, target
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import NOT_REACHED, RAN, Finding, Review, Seen, Sheet, Undo
from pgyoyo.review.stage import Stage
from pgyoyo.scratch import databases
from pgyoyo.sql import parser, update
from pgyoyo.sql.script import Script

# The classes of a proof, and the rules that they are here.
_OF_PROOFS = {
    proof.FAILS: "rollback-fails", proof.DIFFERS: "rollback-differs", proof.ORDER: "rollback-order-differs",
    proof.REAPPLY_FAILS: "reapply-fails", proof.REAPPLY_DIFFERS: "reapply-differs", proof.LOSSY: "lossy-without-reason",
    proof.VOLATILE: "not-repeatable", proof.MISSING: "irreversible-without-reason",
}  # fmt: skip
LONGEST_SHOWN = 8_000  # characters of a statement; what is longer are rows
# The tables of the data file are not there yet, or lack a column that it names.
_TOO_EARLY = ("42P01", "42703", "42704", "3F000")


@dataclass(frozen=True, slots=True)
class Chain:
    """The migrations in the order of applying, those under review among them, by their places."""

    migrations: Sequence[Migration]
    reviewed: Collection[int]


def review(
    admin: Connection,
    chain: Chain,
    console: Console,
    *,
    data: File | None = None,
    alone: bool = True,
    timezone: str = "UTC",
) -> Review:
    """The sheets of the migrations under review, rehearsed in scratch databases of the server of `admin`.

    `data` is loaded before the first of them whose tables are there. `alone` says that the server has no other databases
    that matter. Raises DefectsError and MigrationError for what stands before those under review, UsageError for what would
    change other databases too, and for data that can't be loaded.
    """
    upto = chain.migrations[: max(chain.reviewed, default=-1) + 1]
    checks.scripts(one for i, one in enumerate(upto) if i not in chain.reviewed)
    if not alone:
        checks.shared(upto)
    # What one copy makes for all databases of the server is there already when the next one runs the same file.
    apart = next((i for i, one in enumerate(upto) if checks.beyond(one)), len(upto))
    proving = [i for i in sorted(chain.reviewed) if i < apart and not any(checks.defects(upto[i].apply))]
    made_roles = databases.roles(admin, [one.apply.data for one in upto[apart:]])
    try:
        with made_roles, Proving(connection.again(admin.info), upto, proving) as proofs, ExitStack() as stack:
            made = _Maker(Stage(admin, console, stack, timezone), console, data)
            for i, one in enumerate(upto):
                if i in chain.reviewed:
                    console.step(f"review {one.id} ({len(made.sheets) + 1} of {len(chain.reviewed)})")
                    made.sheet(one)
                else:
                    made.stage.pass_over(one)
            undone = proofs.wait(lambda count: console.step(f"rollbacks: {count} of {len(proving)} tried"))
        console.step("")
    except psycopg.Error as error:
        raise PgyoyoError(f"the scratch server: {failures.server_words(error)}") from None
    if apart < len(upto):
        made.untried = (
            f"from {upto[apart].id} on no rollback was tried: it changes what all databases of the server share"
        )
    version = f"PostgreSQL {admin.info.server_version // 10000}.{admin.info.server_version % 10000}"
    sheets = tuple(
        _with_proof(made.sheets[one.id], one, undone.get(one.id) if made.is_whole(one) else None)
        for one in upto
        if one.id in made.sheets
    )
    return Review(sheets, f"{version}, TimeZone {timezone}", made.loaded, notes=made.notes())


def with_live(found: Review, conn: Connection, database: str) -> Review:
    """The same review with what the target's tables are now; it reads only."""
    names = {lock.relation.name for sheet in found.sheets for lock in sheet.locks if lock.relation.existed}
    here = target.tables(conn, names)
    transaction, query = target.activity(conn)
    words = (("the oldest transaction", transaction), ("the longest query", query))
    sheets = (
        replace(sheet, live={name: here[name] for name in sorted(_tables(sheet)) if name in here})
        for sheet in found.sheets
    )
    activity = tuple(f"{what} is {age:.0f} s old" for what, age in words if age is not None)
    return replace(found, sheets=tuple(sheets), database=database, activity=activity)


def _tables(sheet: Sheet) -> set[str]:
    return {lock.relation.name for lock in sheet.locks if lock.relation.existed and lock.relation.kind != "index"}


class _Maker:
    """Makes sheets, one migration after the other."""

    def __init__(self, stage: Stage, console: Console, data: File | None) -> None:
        self.stage = stage
        self.console = console
        self.sheets: dict[str, Sheet] = {}
        self.loaded: str | None = None
        self.untried = ""
        self._broken: dict[str, str] = {}
        self._data = data
        self._refusal = ""

    def sheet(self, one: Migration) -> None:
        """Add the sheet of one migration, rehearsed unless it can't be."""
        script = parser.parse(one.apply.data)
        found = [
            _plain("defect", defect.path, defect.line, None, defect.message) for defect in checks.defects(one.apply)
        ]
        needed = next((name for name in one.depends if name in self._broken), None)
        notes: tuple[str, ...] = ()
        if found or needed:
            seen = tuple(_not_reached(script))
            notes = (f"not rehearsed: it depends on {needed}, which failed",) if needed else ()
            self._broken[one.id] = needed or one.id
        else:
            self._load(one)
            rehearsal = self.stage.rehearse(one)
            seen = tuple(rehearsal.seen)
            found = rules.findings(one.apply, seen, rehearsal.invalid())
            notes = update.parse_update(script).findings if one.apply.header.backfill else ()
            if rehearsal.failed:
                self._broken[one.id] = one.id
        ran = {statement.number for statement in seen if statement.state == RAN}
        version = self.stage.admin.info.server_version
        found += squawk.lint(one.apply, script, server_version=version, ran=ran)
        silenced = suppressions.silenced(one.apply, script, found)
        self.sheets[one.id] = Sheet(
            one.id,
            one.apply.path,
            one.apply.header.title,
            one.apply.header.transactional,
            tuple(map(_shown, seen)),
            tuple(lock for statement in seen for lock in statement.taken),
            tuple(silenced),
            undo_path=one.rollback.path if one.rollback else None,
            undo_sql=failures.hide(one.rollback.data.decode("utf-8-sig")) if one.rollback else "",
            notes=notes,
            batched=one.apply.header.backfill is not None,
        )

    def is_whole(self, one: Migration) -> bool:
        """Whether it was rehearsed to its end, so that its rollback can be proved."""
        return one.id in self.sheets and one.id not in self._broken

    def notes(self) -> tuple[str, ...]:
        """What has to be said of the review as a whole."""
        notes = [self.untried] if self.untried else []
        if self._data and not self.loaded:
            notes.append(f"{self._data.path} was never loaded: {self._refusal}")
        return tuple(notes)

    def _load(self, one: Migration) -> None:
        """Load the sample rows, unless they are, or their tables are still to come."""
        if not self._data or self.loaded:
            return
        script = parser.parse(self._data.data)
        error = self.stage.load(script)
        if error is None:
            self.loaded = f"{self._data.path}, before {one.id}"
        elif error.sqlstate in _TOO_EARLY:
            self._refusal = str(error.diag.message_primary)
        else:
            raise UsageError(f"{self._data.path} can't be loaded before {one.id}:\n{failures.server_words(error)}")


def _with_proof(sheet: Sheet, one: Migration, proof: Proof | None) -> Sheet:
    """The sheet with what became of the rollback."""
    if proof is None:
        return sheet
    if proof.irreversible:
        return replace(sheet, undo=Undo("irreversible", (proof.irreversible,)))
    found = [finding for kind, lines in proof.findings.items() if (finding := _of_proof(one, kind, lines))]
    if one.rollback:
        whole = [finding for finding in found if finding.path == one.rollback.path]
        script = parser.parse(one.rollback.data)
        found = [
            *(finding for finding in found if finding.path != one.rollback.path),
            *suppressions.silenced(one.rollback, script, whole, whole=True),
        ]
    lines = tuple(line for lines in proof.findings.values() for line in lines)
    word = "failed" if proof.failures else "proved"
    notes = (*sheet.notes, *proof.notes)
    return replace(sheet, findings=(*sheet.findings, *found), undo=Undo(word, lines, proof.lossy), notes=notes)


def _of_proof(one: Migration, kind: str, lines: Sequence[str]) -> Finding | None:
    """A finding for one class of a proof."""
    rule = _OF_PROOFS.get(kind)
    if rule is None:
        return None
    path = one.rollback.path if one.rollback else one.apply.path
    words = "\n".join(lines)
    if kind == proof.FAILS and not words.startswith("rollback: "):
        rule, path = "statement-fails", one.apply.path
    elif kind == proof.VOLATILE:
        path = one.apply.path
    # The server's account begins with the place.
    _, found, rest = words.partition(f"{path}:")
    line = int(rest.split(":")[0]) if found and rest.split(":")[0].isdigit() else 1
    return replace(_plain(rule, path, line, None, words.removeprefix("rollback: ")), source="rollback")


def _plain(name: str, path: Path, line: int, statement: int | None, happens: str) -> Finding:
    rule = rulebook()[name]
    hurts, safer = (text.strip().replace("{table}", "the table") for text in (rule.hurts, rule.safer))
    return Finding(name, rule.severity, path, line, statement, happens, hurts, safer)


def _not_reached(script: Script) -> list[Seen]:
    return [
        Seen(number, script.line(one.start), script.text(one).decode(errors="replace"), one.name, NOT_REACHED)
        for number, one in enumerate(script.statements, start=1)
    ]


def _shown(seen: Seen) -> Seen:
    """The statement as a sheet can hold it: without passwords, and with an end."""
    sql = failures.hide(seen.sql)
    more = len(sql) - LONGEST_SHOWN
    return replace(seen, sql=sql if more <= 0 else f"{sql[:LONGEST_SHOWN]} … and {more:,} more characters")
