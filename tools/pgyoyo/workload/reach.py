"""Which functions a statement goes through, and what they write: called by it, by views, by triggers, by one another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from psycopg import Connection

from pgyoyo.sql import tree
from pgyoyo.workload.bodies import calls
from pgyoyo.workload.functions import Function, Functions
from pgyoyo.workload.guards import Guards, Table
from pgyoyo.workload.targets import EVENTS, Targets
from pgyoyo.workload.writes import UPDATE, Write, of_nodes, relation_of

_TARGETS = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


@dataclass(frozen=True, slots=True)
class Sent:
    """What stands in the text of a statement: names of functions, relations and columns, and what it writes.

    `needs` are the privileges that it needs, each with its relation.
    """

    calls: frozenset[str] = frozenset()
    reads: frozenset[tuple[str, ...]] = frozenset()
    columns: frozenset[str] = frozenset()
    writes: tuple[Write, ...] = ()
    needs: frozenset[tuple[tuple[str, ...], str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """A function on the way, with the table where it is a trigger's; `sure`: whenever the statement works on a row."""

    function: Function
    table: Table | None
    sure: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """The functions, each once, and the writes of their bodies."""

    steps: tuple[Step, ...] = ()
    writes: tuple[tuple[Write, bool], ...] = ()


def sent(text: str) -> Sent:
    """What stands in a statement; nothing where it can't be read."""
    node, error = tree.parse_or_error(text)
    if error or node is None:
        return Sent()
    nodes = list(tree.walk(node))
    return Sent(calls(nodes), _relations(nodes), _columns(nodes), of_nodes(nodes), frozenset(_needs(nodes)))


def _name(target: tree.Node) -> str:
    named = tree.column(tree.unwrap(target.val))
    return str(target.name or (named[1] if named else ""))


def _relations(nodes: Sequence[tree.Node]) -> frozenset[tuple[str, ...]]:
    return frozenset(relation_of(each) for each in _range_vars(nodes))


def _range_vars(nodes: Sequence[tree.Node]) -> list[tree.Node]:
    """The relations among the nodes, without those that WITH makes."""
    made = {each.ctename for each in nodes if tree.kind(each) == "CommonTableExpr"}
    every = (each for each in nodes if tree.kind(each) == "RangeVar")
    return [each for each in every if each.schemaname or each.relname not in made]


def _needs(nodes: Sequence[tree.Node]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What the server asks of a role for the statement itself; not what views, rules and functions need."""
    targets = {}
    for each in nodes:
        if tree.kind(each) in _TARGETS:
            targets[each.relation.location] = each
    for relation in _range_vars(nodes):
        name, statement = relation_of(relation), targets.get(relation.location)
        if statement is None or tree.kind(statement) == "MergeStmt" or _looks(statement):
            yield name, "SELECT"
    for write in of_nodes(nodes):
        yield write.relation, write.operation.upper()


def _looks(statement: tree.Node) -> bool:
    """Whether a write reads columns of the rows that it writes."""
    has_conditions = tree.kind(statement) != "InsertStmt" and statement.HasField("where_clause")
    return bool(has_conditions or statement.HasField("returning_clause"))


def _columns(nodes: Iterable[tree.Node]) -> frozenset[str]:
    """The columns that are named, and * for all of a relation."""
    fields = [tree.unwrap(each.fields[-1]) for each in nodes if tree.kind(each) == "ColumnRef"]
    return frozenset("*" if tree.kind(field) == "A_Star" else field.sval for field in fields)


class Reaching:
    """Follows statements through functions, as the schema is now."""

    def __init__(self, conn: Connection, guards: Guards, functions: Functions) -> None:
        self._functions = functions
        self._targets = Targets(conn, guards, ())
        self._known: dict[Sent, Reach] = {}

    def of(self, statement: Sent) -> Reach:
        """What the statement goes through."""
        if not self._functions.by_name:
            return Reach()
        if statement not in self._known:
            steps: dict[tuple[str, int], Step] = {}
            writes: dict[Write, bool] = {}
            names = statement.calls | self._of_views(statement.reads, statement.columns, set())
            own = [(write, True) for write in statement.writes]
            self._follow(self._ahead(names, own, sure=True), steps, writes)
            self._known[statement] = Reach(tuple(steps.values()), tuple(writes.items()))
        return self._known[statement]

    def _of_views(
        self, relations: frozenset[tuple[str, ...]], columns: frozenset[str], passed: set[tuple[str, ...]]
    ) -> frozenset[str]:
        """The functions that views call; those of a column that is not named only if they are volatile, and so run anyway."""
        names = frozenset[str]()
        for relation in relations - passed:
            passed.add(relation)
            view = self._targets.table(relation)
            select = tree.parse(view.definition) if view and view.definition else None
            if select is None:
                continue
            volatile = {
                name
                for name in calls(tree.walk(select))
                if any(each.volatile for each in self._functions.by_name.get(name, ()))
            }
            for place in range(len(select.target_list) - 1, -1, -1):
                if not columns & {"*", _name(tree.unwrap(select.target_list[place]))}:
                    del select.target_list[place]
            nodes = list(tree.walk(select))
            names |= volatile | calls(nodes) | self._of_views(_relations(nodes), _columns(nodes), passed)
        return names

    def _follow(self, ahead: list[Step], steps: dict[tuple[str, int], Step], inner: dict[Write, bool]) -> None:
        """Collect the functions that lie ahead, and those that they lead to."""
        for step in ahead:
            key = step.function.signature, step.table.oid if step.table else 0
            if key in steps and (steps[key].sure or not step.sure):
                continue
            steps[key] = step
            body = step.function.body
            below = [(write, step.sure and certain) for write, certain in body.writes]
            for write, certain in below:
                inner[write] = inner.get(write, False) or certain
            self._follow(self._ahead(body.calls, below, sure=step.sure), steps, inner)

    def _ahead(self, names: frozenset[str], writes: Iterable[tuple[Write, bool]], *, sure: bool) -> list[Step]:
        """The functions that are called by name, and those of triggers."""
        called = [Step(function, None, sure) for name in names for function in self._functions.by_name.get(name, ())]
        return called + [step for write, certain in writes for step in self._triggers(write, sure=certain)]

    def _triggers(self, write: Write, *, sure: bool) -> Iterator[Step]:
        for target in self._targets.of(write):
            for trigger in () if target.replaced else target.table.triggers:
                if not trigger.type & EVENTS[target.operation]:
                    continue
                if trigger.columns and target.operation == UPDATE and trigger.columns.isdisjoint(target.given):
                    continue
                if function := self._functions.by_signature.get(trigger.function):
                    yield Step(function, target.table, sure and trigger.condition is None)
