"""Which rows of which tables a statement writes, through the views and rules that stand between them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from psycopg import Connection, sql

from pgyoyo.sql import tree
from pgyoyo.sql.idempotence import Premise
from pgyoyo.workload.guards import Guards, Table
from pgyoyo.workload.writes import DEFAULT, INSERT, UPDATE, Value, Write, event, of_node

_DEEPEST = 8  # views on views, and rules that lead to rules
# pg_trigger.tgtype, catalog/pg_trigger.h: INSTEAD OF, and the events.
INSTEAD = 64
EVENTS = {"insert": 4, "delete": 8, "update": 16}
_RELATIONS = """\
SELECT name, pg_catalog.to_regclass(name)::pg_catalog.oid::pg_catalog.int8
FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS name
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A write into a table: what is given for which columns; `open`: perhaps for others, too.

    `replaced`: a rule of the table does something else in its place.
    """

    table: Table
    operation: str
    given: Mapping[int, Value]
    open: bool = False
    lenient: bool = False
    replaced: bool = False


class Targets:
    """Follows writes to the tables, as the schema is now."""

    def __init__(self, conn: Connection, guards: Guards, writes: Iterable[Write]) -> None:
        self._guards = guards
        self._conn = conn
        self._known: dict[tuple[str, ...], int | None] = {}
        self._learn({write.relation for write in writes})

    def table(self, relation: tuple[str, ...]) -> Table | None:
        """The table or view of that name; None where there is none."""
        if relation not in self._known:
            self._learn({relation})
        return self._guards.tables.get(self._known[relation] or 0)

    def of(self, write: Write, depth: int = 0) -> Iterator[Target]:
        """The tables' rows that it writes; none where a trigger takes its place, or the relation is not known."""
        table = self.table(write.relation)
        if table is None or depth > _DEEPEST:
            return
        instead = False
        for rule in table.rules:
            node = tree.parse(rule)
            if node is not None and event(node) == write.operation:
                instead = instead or (node.instead and not node.HasField("where_clause"))
                for action in node.actions:
                    for each in of_node(tree.unwrap(action)):
                        yield from self.of(each, depth + 1)
        if instead:
            yield Target(table, write.operation, {}, replaced=True)
            return
        if table.kind != "v":
            yield self._direct(table, write)
        elif any(each.type & INSTEAD and each.type & EVENTS[write.operation] for each in table.triggers):
            yield Target(table, write.operation, {}, open=True)
        else:
            yield from self._through(table, write, depth)

    def _learn(self, relations: set[tuple[str, ...]]) -> None:
        quoted = {sql.Identifier(*relation).as_string(): relation for relation in relations}
        for name, oid in self._conn.execute(_RELATIONS, [list(quoted)]):
            self._known[quoted[name]] = oid

    def _direct(self, table: Table, write: Write) -> Target:
        names = write.names or [column.name for column in table.columns.values()]
        values = (None,) * len(names) if write.values is None else write.values
        given = {
            number: value
            for name, value in zip(names, values, strict=False)
            for number in table.numbers([name])
            if value != DEFAULT or write.operation == UPDATE
        }
        return Target(table, write.operation, given, write.values is None, write.lenient)

    def _through(self, view: Table, write: Write, depth: int) -> Iterator[Target]:
        """Through a view that the server follows by itself: its columns are those of the only relation that it reads."""
        if view.checked:
            yield Target(view, write.operation, {}, open=True)
        select = tree.parse(view.definition or "")
        if select is None or len(select.from_clause) != 1:
            return
        source = tree.unwrap(select.from_clause[0])
        if tree.kind(source) != "RangeVar":
            return
        columns: dict[str, str] = {}
        for target in map(tree.unwrap, select.target_list):
            if named := tree.column(tree.unwrap(target.val)):
                columns[target.name or named[1]] = named[1]
        given = self._direct(view, write).given
        pairs = {view.columns[number].name: value for number, value in given.items()}
        if write.operation == INSERT:
            # A default of the view's own is not followed.
            pairs |= {each.name: None for each in view.columns.values() if each.value and each.name not in pairs}
        # The columns of the relation below, also where values depend on them.
        pairs = {columns[name]: value for name, value in pairs.items() if name in columns}
        for name, value in pairs.items():
            if isinstance(value, Premise):
                names = [columns.get(each, "") for each in value.columns]
                pairs[name] = Premise(frozenset(names)) if all(names) else None
        relation = tuple(part for part in (source.schemaname, source.relname) if part)
        # Without a name an INSERT gives all that it has values for: none.
        none_given = () if write.values is not None else None
        values = tuple(pairs.values()) if pairs or write.operation != INSERT else none_given
        below = Write(relation, write.operation, tuple(pairs), values, write.lenient)
        yield from self.of(below, depth + 1)
