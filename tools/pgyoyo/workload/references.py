"""What unique indexes, exclusion constraints and foreign keys refuse of a write since a migration."""

from collections.abc import Collection, Iterator, Sequence

from pgyoyo.workload.guards import Guards, Key, Link, Table
from pgyoyo.workload.refusal import Refusal, may_violate
from pgyoyo.workload.row import Row
from pgyoyo.workload.writes import DELETE, INSERT, UPDATE

_SET_NULL, _CASCADE = "n", "c"  # pg_constraint.confdeltype


def of_keys(row: Row, before: Table | None, parent: Table | None) -> Iterator[Refusal]:
    """The new unique indexes and exclusion constraints; those of `parent` are judged there."""
    table, operation = row.table, row.target.operation
    if row.target.lenient:
        return
    for key in table.keys:
        if (before and _stood(key, before)) or (parent and any(each.keys == key.keys for each in parent.keys)):
            continue
        known = row.known(key.columns)
        if operation == UPDATE and not row.writes(key.columns):
            continue
        if any(map(row.is_fresh, key.columns)) or (not key.nulls_equal and "NULL" in known.values()):
            continue
        if key.where and row.chooses(key.where) is False:
            continue
        certain = operation == INSERT and key.unique and len(known) == len(key.columns)
        names = ", ".join(table.columns[number].name for number in sorted(key.columns))
        what = f'{"unique index" if key.unique else "exclusion constraint"} "{key.name}" of {table.name} ({names})'
        yield may_violate(
            f"{what} from its second row on" if certain else what, table, key.name, names, certain=certain
        )


def _stood(key: Key, before: Table) -> bool:
    """Whether an index before refused as much: the same, or one on fewer of its columns."""
    for each in before.keys:
        if each.deferred and not key.deferred:
            continue
        same = each.oid == key.oid or (not key.unique and each.text == key.text)
        wider = key.unique and each.unique and set(each.keys) <= set(key.keys) and each.where in (None, key.where)
        if wider and key.nulls_equal and not each.nulls_equal:
            wider = all(before.columns[number].required for number in each.columns)
        if same or wider:
            return True
    return False


def of_links(row: Row, links: Sequence[Link], before: Guards, now: Guards) -> Iterator[Refusal]:
    """The new foreign keys of the table; `links` are those that it had."""
    for link in row.table.links:
        if link.of_partition or any(_same(each, before, link, now) and not _waited(each, link) for each in links):
            continue
        # The default of a column is in the rows that are there, which were checked.
        if row.writes(set(link.columns)) and "NULL" not in row.known(frozenset(link.columns)).values():
            yield may_violate(f'foreign key "{link.name}" of {row.table.name}', row.table, link.name)


def of_referring(row: Row, before: Guards, now: Guards, unused: Collection[int]) -> Iterator[Refusal]:
    """The foreign keys that refer to the rows which are deleted, or get another key; the `unused` hold no row."""
    table, operation = row.table, row.target.operation
    if operation == INSERT:
        return
    stood = [each for of_table in before.referring.values() for each in of_table]
    for link in now.referring.get(table.oid, ()):
        if link.oid in unused or (operation == UPDATE and not row.writes(set(link.targets))):
            continue
        if not _rejects(link, operation, now):
            continue
        same = [each for each in stood if _same(each, before, link, now)]
        if not any(_rejects(each, operation, before) and not _waited(each, link) for each in same):
            of = now.tables[link.table].name
            yield may_violate(f'foreign key "{link.name}" of {of}, which refers to {table.name}', table, link.name, of)


def cascades(table: Table, now: Guards) -> Iterator[Table]:
    """The tables whose rows a DELETE takes along."""
    reached, waiting = {table.oid}, [table.oid]
    while waiting:
        for link in now.referring.get(waiting.pop(), ()):
            if link.on_delete == _CASCADE and link.table not in reached:
                reached.add(link.table)
                waiting.append(link.table)
                yield now.tables[link.table]


def of_partitions(table: Table, before: Guards, now: Guards) -> Iterator[Refusal]:
    """A partition that is gone, where none came for it and no default partition takes its rows."""
    was = before.counterpart(table)
    if was is None or table.kind != "p":
        return
    bounds = {each.bound for each in now.below(table)}
    old = {each.bound: each.name for each in before.below(was) if each.bound}
    gone = sorted(name for bound, name in old.items() if bound not in bounds)
    if gone and "DEFAULT" not in bounds and not bounds - old.keys():
        words = f"its row may fit no partition of {table.name} any more: {', '.join(gone)} is gone"
        yield Refusal(words, certain=False, about=frozenset((table.name, *gone)))


def _same(old: Link, before: Guards, new: Link, now: Guards) -> bool:
    """Whether it is the foreign key of before, perhaps under another name."""
    return old.oid == new.oid or _signature(old, before) == _signature(new, now)


def _signature(link: Link, guards: Guards) -> tuple[object, ...]:
    of, to = guards.tables.get(link.table), guards.tables.get(link.target)
    if of is None or to is None:
        return (link.oid,)
    return (
        of.qualified, to.qualified, tuple(of.columns[number].name for number in link.columns),
        tuple(to.columns[number].name for number in link.targets),
    )  # fmt: skip


def _waited(old: Link, new: Link) -> bool:
    """Whether it was checked at the end of the transaction, and is not any more."""
    return old.deferred and not new.deferred


def _rejects(link: Link, operation: str, guards: Guards) -> bool:
    """Whether rows that refer to one stop its DELETE or the UPDATE of its key."""
    action = link.on_delete if operation == DELETE else link.on_update
    if action == _SET_NULL:
        columns = guards.tables[link.table].columns
        return any(columns[number].required for number in link.columns)
    return action != _CASCADE
