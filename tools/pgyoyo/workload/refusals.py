"""Which writes of an application the tables refuse since a migration: the constraints, indexes and triggers it brought."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from psycopg import Connection

from pgyoyo.sql import tree
from pgyoyo.workload import conditions, references, triggers
from pgyoyo.workload.conditions import Condition
from pgyoyo.workload.guards import Guards, Table
from pgyoyo.workload.refusal import Refusal, may_violate
from pgyoyo.workload.row import Row
from pgyoyo.workload.targets import EVENTS, Target, Targets
from pgyoyo.workload.triggers import Outcome
from pgyoyo.workload.writes import DELETE, INSERT, UPDATE, Write, event


def refusals(
    conn: Connection,
    before: Guards,
    now: Guards,
    writes: Sequence[Sequence[tuple[Write, bool]]],
    unused: Collection[int] = (),
) -> list[tuple[Refusal, ...]]:
    """What the schema refuses now of the writes of each statement, and did not before; rolls back what it tries.

    Each write goes with whether the statement makes it in any case; `unused` foreign keys hold no row. `conn` has no
    transaction open.
    """
    if before == now:
        return [()] * len(writes)
    judge = _Judge(conn, before, now, unused)
    every = {write for each in writes for write, _ in each}
    targets = Targets(conn, now, every)
    known = {write: [refusal for target in targets.of(write) for refusal in judge.of(target)] for write in every}
    return [
        tuple(dict.fromkeys(
            replace(refusal, certain=refusal.certain and sure) for write, sure in each for refusal in known[write]
        ))
        for each in writes
    ]  # fmt: skip


class _Judge:
    """Judges writes into tables; what is new of a table is asked once."""

    def __init__(self, conn: Connection, before: Guards, now: Guards, unused: Collection[int]) -> None:
        self._conn = conn
        self._before = before
        self._now = now
        self._unused = unused
        self._new: dict[int, list[Condition]] = {}

    def of(self, target: Target) -> Iterator[Refusal]:
        """What the table, and the partitions or children below it, refuse of the row."""
        yield from self._replaced(target)
        if target.replaced:
            return
        yield from self._in(target, None)
        for table in self._now.below(target.table):
            if target.operation != INSERT or table.bound is not None:
                names = {target.table.columns[number].name: value for number, value in target.given.items()}
                given = {number: value for name, value in names.items() for number in table.numbers([name])}
                yield from self._in(replace(target, table=table, given=given), target.table)
        if target.operation == INSERT:
            yield from references.of_partitions(target.table, self._before, self._now)
        if target.operation == DELETE:
            for table in references.cascades(target.table, self._now):
                for refusal in self._in(Target(table, DELETE, {}), None):
                    yield replace(refusal, certain=False)  # a row may have none that refer to it

    def _replaced(self, target: Target) -> Iterator[Refusal]:
        """The rules that do nothing in place of the write, and did not stand there before."""
        before = self._before.counterpart(target.table)
        for text in target.table.rules:
            if before is None or text in before.rules:
                continue
            rule = tree.parse(text)
            if rule is None or event(rule) != target.operation or not rule.instead or rule.actions:
                continue
            certain = not rule.HasField("where_clause")
            words = (
                f"rule {rule.rulename} of {target.table.name} {'does' if certain else 'may do'} nothing in its place"
            )
            yield Refusal(words, certain, frozenset((rule.rulename, target.table.name)))

    def _in(self, target: Target, parent: Table | None) -> Iterator[Refusal]:
        """What a single table refuses; what `parent` refuses, too, is judged there."""
        table, before = target.table, self._before.counterpart(target.table)
        if before == table and self._before.referring.get(table.oid) == self._now.referring.get(table.oid):
            return
        row = Row(self._conn, target)
        if target.operation != DELETE:
            yield from self._conditions(row, before, parent)
            yield from references.of_keys(row, before, parent)
            yield from references.of_links(row, before.links if before else (), self._before, self._now)
            if before and table.bound and not before.bound and parent is None:
                yield may_violate(f"the partition constraint of {table.name}", table)
            if table.checked and not (before and before.checked):
                yield may_violate(f"the check option of view {table.name}", table)
        yield from references.of_referring(row, self._before, self._now, self._unused)
        yield from _of_triggers(row, before, parent)

    def _conditions(self, row: Row, before: Table | None, parent: Table | None) -> Iterator[Refusal]:
        table, given = row.table, row.target.given.keys()
        if table.oid not in self._new:
            self._new[table.oid] = conditions.new(self._conn, before, table)
        inherited = {(each.kind, each.name, each.text) for each in conditions.conditions(parent)} if parent else set()
        left_out = {}
        for condition in self._new[table.oid]:
            if (condition.kind, condition.name, condition.text) in inherited or (passes := row.passes(condition)):
                continue
            certain = passes is False
            if condition.kind == "not null" and row.target.operation == INSERT and not condition.columns & given:
                left_out[condition.name] = certain
            else:
                yield _refused(condition, table, certain=certain)
        for condition in self._without_default(row, before) if before else ():
            if condition not in self._new[table.oid] and row.passes(condition) is False:
                left_out[condition.name] = True
        if left_out:
            words = f"it gives no value for {', '.join(sorted(left_out))}, which has to have one"
            yield Refusal(words, any(left_out.values()), frozenset((*left_out, table.name)))

    @staticmethod
    def _without_default(row: Row, before: Table) -> Iterator[Condition]:
        """The NOT NULL constraints of columns that are not given and have another default now."""
        old = {column.name: (column.value, column.counted) for column in before.columns.values()}
        changed = {
            column.number
            for column in row.table.columns.values()
            if not row.writes({column.number}) and old.get(column.name) not in (None, (column.value, column.counted))
        }
        for condition in conditions.conditions(row.table) if changed and row.target.operation == INSERT else ():
            if condition.kind == "not null" and condition.columns & changed:
                yield condition


def _refused(condition: Condition, table: Table, *, certain: bool) -> Refusal:
    names = [table.columns[number].name for number in sorted(condition.columns)]
    match condition.kind:
        case "not null":
            what = f"the NOT NULL constraint of {table.name}.{condition.name}"
        case "type":
            what = f"the limits of {table.columns[min(condition.columns)].limits} in {table.name}.{condition.name}"
        case "domain":
            what = f"a constraint of {condition.name} in {table.name}.{names[0]}: {condition.text}"
        case _:
            what = f'check constraint "{condition.name}" of {table.name}: {condition.text}'
    return may_violate(what, table, condition.name, *names, certain=certain)


def _of_triggers(row: Row, before: Table | None, parent: Table | None) -> Iterator[Refusal]:
    """The triggers that are new, or whose function is another now."""
    table, operation = row.table, row.target.operation
    stood = {triggers.shape(each) for each in before.triggers} if before else set()
    for trigger in table.triggers:
        if not trigger.type & EVENTS[operation] or triggers.shape(trigger) in stood:
            continue
        if parent and any(each.name == trigger.name for each in parent.triggers):
            continue
        if operation == UPDATE and trigger.columns and not row.writes(trigger.columns):
            continue
        result = row.rejected_by(trigger)
        old = next((each for each in before.triggers if each.name == trigger.name), None) if before else None
        if result is Outcome.NEVER or (old and row.rejected_by(replace(old, oid=0)) is Outcome.ALWAYS):
            continue
        certain = result is Outcome.ALWAYS
        words = f'trigger "{trigger.name}" of {table.name} {"rejects" if certain else "may reject"} its row'
        yield Refusal(words, certain, frozenset((trigger.name, trigger.function, table.name)))
