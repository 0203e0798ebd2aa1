"""How files and ledger differ, what to apply or roll back, and in which order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pgyoyo import migrations as room
from pgyoyo.errors import RollbackRefusedError, UsageError
from pgyoyo.migrations.migration import PYTHON, ROLLBACK, Migration
from pgyoyo.migrations.names import folded, nearest, number
from pgyoyo.migrations.status import Applied, Ledger, Renamed, Status
from pgyoyo.sql.header import CONTRACT


def order(migrations: Iterable[Migration]) -> list[Migration]:
    """yoyo's order: dependencies first, else as given (yoyo/topologicalsort.py).

    Where every dependency already stands before what needs it, that order is the given one, and yoyo is not imported.
    """
    given = list(migrations)
    here = {migration.id: migration for migration in given}
    seen: set[str] = set()
    for migration in given:
        if any(name in here and name not in seen for name in migration.depends):
            break
        seen.add(migration.id)
    else:
        return given
    from yoyo.topologicalsort import topological_sort  # costs more than a whole run with nothing to do

    graph = {m: {here[name] for name in m.depends if name in here} for m in given}
    return list(topological_sort(given, graph))


def heads(order: Sequence[Migration]) -> list[str]:
    """The ids on which nothing depends yet, in the order given; more than one after branches were merged.

    A migration without `depends` follows the one before it, and all that share that one's number. So 0007_a and 0007_b from
    two branches are two heads, until a later migration follows both.
    """
    unfollowed: dict[str, None] = {}
    before = None
    for migration in order:
        followed: Sequence[str] = migration.depends
        if not followed and before and not _same_number(before.id, migration.id):
            followed = [name for name in unfollowed if name == before.id or _same_number(name, before.id)]
        for name in followed:
            unfollowed.pop(name, None)
        unfollowed[migration.id] = None
        before = migration
    return list(unfollowed)


def merged_heads(order: Sequence[Migration]) -> list[str]:
    """The heads that merged branches left; none where there was no such merge.

    Its signs: a head has a number that another migration has too, or several heads each say what they depend on. A head that
    does not follows the one before it, and nobody asked for more; nothing needs to follow a contract migration.
    """
    ends = heads(order)
    if len(ends) < 2:
        return []
    numbers = [number(migration.id) for migration in order]
    if any(key is not None and numbers.count(key) > 1 for key in map(number, ends)):
        return ends
    depending = [m.id for m in order if m.id in ends and m.depends and m.apply.header.phase != CONTRACT]
    return depending if len(depending) > 1 else []


def _same_number(first: str, second: str) -> bool:
    return number(first) is not None and number(first) == number(second)


def compare(migrations: Sequence[Migration], ledger: Ledger) -> Status:
    """How files and ledger differ; a row without a checksum is never called edited."""
    rows = {row.hash: row for row in ledger.applied}
    known = {migration.hash for migration in migrations}
    pending = order(m for m in migrations if m.hash not in rows)
    ordered = order(migrations)
    last = max((i for i, m in enumerate(ordered) if m.hash in rows), default=-1)
    before = {m.hash for m in ordered[: last + 1]}
    missing = tuple(row for row in ledger.applied if row.hash not in known)
    return Status(
        schema=ledger.schema,
        applied=ledger.applied,
        pending=tuple(pending),
        edited=tuple(m for m in migrations if m.hash in rows and is_edited(m, rows[m.hash])),
        missing=missing,
        out_of_order=tuple(m for m in pending if m.hash in before and not _held_back(m, ordered, ledger.applied)),
        journal=ledger.journal,
        backfills=ledger.backfills,
        phases={m.hash: m.apply.header.phase for m in migrations if m.apply.header.phase},
        renamed=tuple(_renamed(missing, pending)),
    )


def _held_back(migration: Migration, ordered: Sequence[Migration], applied: Sequence[Applied]) -> bool:
    """Whether a pending migration may have been held back: as one of the contract phase (pgyoyo apply --phase expand), or
    with a backfill (--backfills later): it is one, or needs one that stands before it, which is pending, or was applied
    later than all that stands behind it.
    """
    if migration.apply.header.phase == CONTRACT or migration.apply.header.backfill:
        return True
    times = {row.hash: number for number, row in enumerate(applied)}
    place = ordered.index(migration)
    behind = max((times[m.hash] for m in ordered[place + 1 :] if m.hash in times), default=-1)
    late = [m for m in ordered[:place] if m.hash not in times or times[m.hash] > behind]
    if not any(m.apply.header.backfill for m in late):
        return False
    return any(entry.migration is migration for entry in room.later.without_backfills([*late, migration])[1])


def _renamed(missing: Sequence[Applied], pending: Sequence[Migration]) -> Iterator[Renamed]:
    """The pending migrations that are applied under another id: a missing one of the same content, or of the same name but
    for its case or the encoding of its accents.
    """
    rows = list(missing)
    for migration in pending if rows else ():
        name, checksum = folded(migration.id), None if migration.apply.empty else migration.apply.checksum
        same_name = (row for row in rows if folded(row.id) == name)
        same_content = (row for row in rows if row.checksum is not None and row.checksum == checksum)
        row = next(same_name, None) or next(same_content, None)
        if row:
            rows.remove(row)
            yield Renamed(row, migration)


def is_edited(migration: Migration, row: Applied) -> bool:
    """Whether a file of the migration is not what was applied; a rollback file may be lost by that, or be added later."""
    if row.checksum is None:
        return False
    rollback = migration.rollback.checksum if migration.rollback else None
    return migration.apply.checksum != row.checksum or row.rollback_checksum not in (None, rollback)


def find(name: str, ids: Iterable[str]) -> str:
    """The id that `name` means: itself, that of the file at a path, or the only one that has that number or begins with it.

    Raises UsageError.
    """
    known = list(ids)
    if name in known:
        return name
    if (stem := _stem(name)) in known:
        return stem
    matches = []
    if name.isdecimal():
        matches = [known_id for known_id in known if number(known_id) == int(name)]
    matches = matches or [known_id for known_id in known if known_id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f'"{name}" matches ' + ", ".join(matches[:5]) + "; write more of the id")
    near = None if name.isdecimal() else nearest(name, known)
    raise UsageError(f'no migration "{name}"' + (f"; did you mean {near}?" if near else "; `pgyoyo status` lists them"))


def _stem(path: str) -> str:
    """The id of the migration whose file a shell completed."""
    file = path.rpartition("/")[2]
    return next((file.removesuffix(end) for end in (ROLLBACK, ".sql", PYTHON) if file.endswith(end)), file)


def to_apply(status: Status, *, target: str | None = None) -> list[Migration]:
    """The pending migrations up to and with `target` and what it depends on; without one, all of them."""
    if target is None:
        return list(status.pending)
    if any(row.id == target for row in status.applied):
        return []
    here = {migration.id: i for i, migration in enumerate(status.pending)}
    return list(status.pending[: here[target] + 1])


def to_record(migrations: Sequence[Migration], status: Status, target: str) -> list[Migration]:
    """The pending migrations that stand up to and with `target`, an id of theirs, also where that one is applied."""
    ordered = order(migrations)
    last = next(i for i, migration in enumerate(ordered) if migration.id == target)
    pending = {migration.hash for migration in status.pending}
    return [migration for migration in ordered[: last + 1] if migration.hash in pending]


def to_roll_back(
    applied: Sequence[Applied],
    depends: Mapping[str, Sequence[str]],
    *,
    ids: Sequence[str] = (),
    target: str | None = None,
    count: int | None = None,
    everything: bool = False,
) -> list[Applied]:
    """What to roll back, last applied first: the ids given, all after `target`, the last `count`, all, or the last one.

    `depends` says what each applied id depends on. Raises RollbackRefusedError when something that stays applied depends
    on something that goes, UsageError for an id that is not applied (any more).
    """
    backwards = list(reversed(applied))
    here = {row.id for row in applied}
    if gone_already := [name for name in (*ids, *([target] if target else ())) if name not in here]:
        raise UsageError(f"{gone_already[0]} is not applied any more; `pgyoyo status` shows what is")
    if ids:
        going = [row for row in backwards if row.id in ids]
    elif target is not None:
        place = next(i for i, row in enumerate(backwards) if row.id == target)
        going = backwards[:place]
    elif everything:
        going = backwards
    else:
        going = backwards[: 1 if count is None else count]
    gone = {row.id for row in going}
    for row in applied:
        needs = [name for name in depends.get(row.id, ()) if name in gone]
        if row.id not in gone and needs:
            raise RollbackRefusedError(f"{row.id} depends on {needs[0]} and stays applied; roll it back too, or first")
    return going
