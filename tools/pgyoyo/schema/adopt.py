"""Takes over a database that already has what migrations create: finds out which, proves it, and records it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgyoyo import bookkeeping
from pgyoyo.catalog.snapshot import Change
from pgyoyo.errors import UsageError
from pgyoyo.importing import ledgers
from pgyoyo.importing.ledgers import ToolLedger
from pgyoyo.importing.source import origin_of
from pgyoyo.migrations import plan
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Status
from pgyoyo.migrator import Migrator
from pgyoyo.schema.first import TOOL as DATABASE
from pgyoyo.schema.verify import Ignore, Verdict, compare
from pgyoyo.units import number, several


@dataclass(frozen=True, slots=True)
class Choice:
    """Which migrations the database has, and who says so.

    `marked` are to be recorded; plain yoyo recorded `accepted` without their texts; `known` are all that the catalog has to
    agree with, in the order of applying.
    """

    source: str
    known: tuple[Migration, ...]
    marked: tuple[Migration, ...] = ()
    accepted: tuple[Migration, ...] = ()


@dataclass(frozen=True, slots=True)
class Takeover:
    """What was chosen, how the catalog agrees, and the other tools' ledgers that are there.

    `agrees_at` is the last migration of those after which nothing differs, where the whole choice does differ.
    """

    choice: Choice
    verdict: Verdict
    ledgers: tuple[ToolLedger, ...]
    agrees_at: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the database is what the chosen migrations give."""
        return not self.verdict.changes


def choose(target: Migrator, status: Status, old_ledgers: Sequence[ToolLedger], last: str | None) -> Choice:
    """The migrations that the database has: up to `last`, as a ledger says, or else all; reads only.

    A ledger of yoyo's goes before that of another tool. Raises DriftError where the latter says that a migration ended
    halfway, UsageError for an unknown id.
    """
    order = plan.order(target.folders.migrations)
    here = {migration.hash: migration for migration in order}
    known = [target.migration_of(row, status, as_applied=True) for row in status.applied]
    accepted = tuple(here[row.hash] for row in status.applied if row.checksum is None and row.hash in here)
    if last is not None:
        name = plan.find(last, [migration.id for migration in order])
        marked = plan.to_record(order, status, name)
        return Choice(f"up to {name}, as you say", (*known, *marked), tuple(marked), accepted)
    if status.applied:
        return Choice(f"the ledger in schema {status.schema}", tuple(known), (), accepted)
    origins = {migration.id: origin for migration in order if (origin := origin_of(migration.apply.data))}
    for ledger in old_ledgers:
        own = {origins[m.id].name: m for m in order if m.id in origins and origins[m.id].tool == ledger.tool}
        if own:
            record = ledgers.read(target.conn, ledger, list(own))
            ledgers.refuse_failed(record)
            marked = [migration for name, migration in own.items() if name in record.applied]
            return Choice(f"{ledger}, the ledger of {ledger.tool}", tuple(marked), tuple(marked))
    first = [m for m in order if m.id in origins and origins[m.id].tool == DATABASE]
    chosen = tuple(first or order)
    return Choice(
        "no ledger, so all files count" if not first else "the file that was imported from it", chosen, chosen
    )


def inspect(
    target: Migrator, scratch_server: str, ignores: Sequence[Ignore], last: str | None, *, owners: bool = False
) -> Takeover:
    """Which migrations the database has, and whether its catalog agrees; writes nothing on the target.

    Raises as `choose` and as verify do, and UsageError where there is nothing to adopt.
    """
    status = target.status()
    old_ledgers = ledgers.find(target.conn)
    choice = choose(target, status, old_ledgers, last)
    if not choice.known:
        raise UsageError(
            f"{choice.source}: none of these migrations is applied there, so there is nothing to adopt; next: pgyoyo apply"
        )
    rules = [
        *ignores,
        *(Ignore(pattern, f"the ledger of {ledger.tool}") for ledger in old_ledgers for pattern in ledger.owns),
    ]
    verdict = compare(target, scratch_server, rules, choice.known, status, owners=owners)
    meant = tuple(pair for pair in verdict.ignored if pair[1] in ignores)
    verdict = replace(verdict, ignored=meant)
    agrees_at = None
    if verdict.changes and last is None and not status.applied and len(choice.known) > 1:
        agrees_at = _agrees_at(target, scratch_server, rules, choice, status)
    return Takeover(choice, verdict, tuple(old_ledgers), agrees_at)


def record(target: Migrator, takeover: Takeover) -> None:
    """Write into the ledger what was found to agree; nothing runs. Raises as a mark does."""
    bookkeeping.take_over(target, takeover.choice.marked, takeover.choice.accepted)


def _agrees_at(
    target: Migrator, scratch_server: str, rules: Sequence[Ignore], choice: Choice, status: Status
) -> str | None:
    same: list[str] = []

    def each(migration: Migration, changes: Sequence[Change]) -> None:
        if not changes:
            same.append(migration.id)

    compare(target, scratch_server, rules, choice.known, status, each=each)
    return same[-1] if same else None


def lines(takeover: Takeover) -> list[str]:
    """What was done, or what is in the way, for a person."""
    choice = takeover.choice
    if not takeover.agrees:
        head = f"nothing was recorded; taken from {choice.source}: {number(len(choice.known), 'migration')}"
        return [head, *_advice(takeover)]
    shown = [f"recorded {migration.id}, which the database has" for migration in choice.marked]
    shown += [f"recorded the files of {migration.id}, which plain yoyo applied" for migration in choice.accepted]
    shown = shown or ["nothing to do: the ledger has all of it"]
    for ledger in takeover.ledgers:
        shown.append(
            f"{ledger}, the ledger of {ledger.tool}, is not needed any more; verify leaves it out until a migration drops it"
        )
    return shown


def _advice(takeover: Takeover) -> list[str]:
    """What to do about a database that differs."""
    choice, last = takeover.choice, takeover.agrees_at
    if last is not None:
        return [f"the database is as it stands after {last}: pgyoyo adopt --to {last}"]
    general = (
        "make database and files agree, say which is the last migration that it has (--to ID), or name what is meant "
        'to differ (--ignore "index *.tmp_*")'
    )
    ways = [general]
    if choice.known == choice.marked and all(change.after is None for change in takeover.verdict.changes):
        ways.insert(0, "the database lacks all of this; if none of these migrations ran there: pgyoyo apply")
    if python := [migration.id for migration in choice.known if migration.apply.blocked]:
        ways.append(
            f"what the functions of {several(python)} do is not on the scratch database; "
            f"write it as SQL, as {python[0]}.sql in place of the .py, and run pgyoyo adopt again"
        )
    return ways
