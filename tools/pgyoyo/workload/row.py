"""What is known of the row that a write leaves: the values of columns, and which conditions they decide."""

from collections.abc import Callable
from functools import cached_property

from postgast.pg_query_pb2 import AND_EXPR, OR_EXPR
from psycopg import Connection

from pgyoyo.sql import tree
from pgyoyo.workload import conditions, triggers
from pgyoyo.workload.conditions import Condition
from pgyoyo.workload.guards import Table, Trigger
from pgyoyo.workload.targets import EVENTS, INSTEAD, Target
from pgyoyo.workload.triggers import BEFORE, ROW
from pgyoyo.workload.writes import DEFAULT, DELETE, INSERT, UPDATE, Value


class Row:
    """The row of a write; asks the server, in transactions that are rolled back."""

    def __init__(self, conn: Connection, target: Target) -> None:
        self._conn = conn
        self.target = target
        self.table = target.table

    @cached_property
    def _assigned(self) -> tuple[frozenset[int], frozenset[int]]:
        """The columns that triggers set before the row is checked: in any case, and at least perhaps."""
        wanted = ROW | BEFORE | EVENTS[self.target.operation]
        surely, perhaps = frozenset[int](), frozenset[int]()
        for each in self.table.triggers:
            if each.type & (wanted | INSTEAD) == wanted:
                sets = triggers.assigned(each)
                surely |= frozenset(self.table.numbers(sorted(sets.surely)))
                perhaps |= frozenset(self.table.columns if sets.all else self.table.numbers(sorted(sets.perhaps)))
        return surely, perhaps

    def writes(self, columns: frozenset[int] | set[int]) -> bool:
        """Whether it is given a value for one of the columns, or perhaps is."""
        return self.target.open or not columns.isdisjoint(self.target.given)

    def value(self, number: int) -> str | None:
        """The SQL of what a column gets, None where it is not known."""
        column = self.table.columns[number]
        if number in self._assigned[1]:
            return None
        value: Value = self.target.given.get(number, DEFAULT if self.target.operation == INSERT else None)
        if value != DEFAULT:
            return value
        if column.computed or (self.target.open and number not in self.target.given):
            return None
        return "1" if column.counted else column.value or "NULL"

    def known(self, columns: frozenset[int]) -> dict[int, str]:
        """Of these columns the values that are known."""
        return {number: value for number in columns if (value := self.value(number)) is not None}

    def bases(self, columns: frozenset[int]) -> frozenset[int]:
        """The columns that these are, or are computed from."""
        return frozenset(base for number in columns for base in _bases(self.table, number))

    def passes(self, condition: Condition) -> bool | None:
        """Whether the row satisfies the condition; None: that depends on values that are not known."""
        columns = self.bases(condition.columns)
        if self.target.operation == UPDATE and not self.writes(columns):
            return True
        if condition.kind == "not null":
            of = [self.table.columns[number] for number in columns]
            if columns <= self._assigned[0] or (columns != condition.columns and all(each.required for each in of)):
                return True
            if any(each.counted for each in of):
                return None if self.writes(columns) else True
        known = self.known(columns)
        if len(known) < len(columns) or columns != condition.columns:
            return None
        return conditions.holds(self._conn, condition.text, self.table, known)

    def chooses(self, where: str) -> bool | None:
        """Whether the row is among those of a partial index."""
        known = self.known(frozenset(self.table.columns))
        return conditions.holds(self._conn, f"({where}) IS TRUE", self.table, known)

    def is_fresh(self, number: int) -> bool:
        """Whether the server gives a column another value in each row."""
        if self.target.operation != INSERT or self.writes({number}):
            return False
        column = self.table.columns[number]
        if column.counted or column.computed:
            return column.counted
        expression = tree.condition(column.value or "NULL")
        kinds = ("FuncCall", "SQLValueFunction")
        return expression is None or any(tree.kind(node) in kinds for node in tree.walk(expression))

    def decider(self, trigger: Trigger) -> Callable[[str], bool | None]:
        """Tells which conditions of a trigger are true of the row, as far as its values and the operation decide."""
        own = frozenset(self.table.numbers(sorted(triggers.assigned(trigger).perhaps)))
        rows = trigger.type & ROW and self.target.operation != DELETE
        known = self.known(frozenset(self.table.columns) - own) if rows else {}
        names = {self.table.columns[number].name for number in known}
        more = f", (SELECT '{self.target.operation.upper()}' AS tg_op) AS operation"

        def truth(condition: tree.Node) -> bool | None:
            node = tree.unwrap(condition)
            if tree.kind(node) == "BoolExpr" and node.boolop in (AND_EXPR, OR_EXPR):
                parts, decisive = [truth(each) for each in node.args], node.boolop == OR_EXPR
                return decisive if decisive in parts else None if None in parts else not decisive
            text = tree.text_if_writable(condition)
            if not text or not _is_decidable(condition, names):
                return None
            return conditions.holds(self._conn, f"({text}) IS TRUE", self.table, known, more)

        def decide(text: str) -> bool | None:
            condition = tree.condition(text)
            return None if condition is None else truth(condition)

        return decide


def _is_decidable(condition: tree.Node, names: set[str]) -> bool:
    """Whether all that it names is a known column of NEW, or TG_OP."""
    parts = list(tree.walk(condition))
    if any(tree.kind(part) == "SubLink" for part in parts):
        return False
    columns = [tree.column(part) for part in parts if tree.kind(part) == "ColumnRef"]
    return all(
        column is not None and (column == ((), "tg_op") or (column[0] == ("new",) and column[1] in names))
        for column in columns
    )


def _bases(table: Table, number: int) -> tuple[int, ...]:
    column = table.columns[number]
    if not column.computed:
        return (number,)
    expression = tree.condition(column.value or "")
    nodes = tree.walk(expression) if expression is not None else ()
    return table.numbers([named[1] for node in nodes if (named := tree.column(node))])
