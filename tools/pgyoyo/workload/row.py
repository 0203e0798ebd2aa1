"""What is known of the row that a write leaves: the values of columns, and which conditions they decide."""

import re
from functools import cached_property

from postgast.pg_query_pb2 import AND_EXPR, OR_EXPR
from psycopg import Connection

from pgyoyo.sql import tree
from pgyoyo.sql.idempotence import Premise, not_null
from pgyoyo.workload import conditions, triggers
from pgyoyo.workload.conditions import Condition
from pgyoyo.workload.equality import Equality, equality_of
from pgyoyo.workload.guards import Column, Table, Trigger
from pgyoyo.workload.targets import EVENTS, INSTEAD, Target
from pgyoyo.workload.triggers import BEFORE, ROW, Decide, Followed, Outcome
from pgyoyo.workload.writes import DEFAULT, DELETE, INSERT, UPDATE, Value

_NOT_NULL = re.compile(r'\(?("[^"]+"|\w+) IS NOT NULL\)?')
# Functions whose results depend on nothing but their arguments.
_SAME_ANYWHERE = frozenset(("abs", "btrim", "char_length", "length", "lower", "ltrim", "rtrim", "upper"))


class Row:
    """The row of a write; asks the server, in transactions that are rolled back."""

    def __init__(self, conn: Connection, target: Target) -> None:
        self._conn = conn
        self.target = target
        self.table = target.table

    @cached_property
    def _before(self) -> dict[int, Followed]:
        """What the triggers before the row set, by their OIDs, in the order in which they fire: by name."""
        wanted, changed, result = ROW | BEFORE | EVENTS[self.target.operation], frozenset[str](), dict[int, Followed]()
        for each in sorted(self.table.triggers, key=lambda trigger: trigger.name):
            if each.type & (wanted | INSTEAD) == wanted:
                result[each.oid] = sets = triggers.followed(each, self._decider(each, changed))
                changed |= self._names if sets.all else sets.perhaps
        return result

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(column.name for column in self.table.columns.values())

    @cached_property
    def _set(self) -> frozenset[str]:
        """The columns that triggers may set before the row is checked."""
        sets = self._before.values()
        return frozenset().union(*(self._names if each.all else each.perhaps for each in sets))

    def _is_filled(self, number: int) -> bool | None:
        """Whether a column that triggers set has a value then; None: that is not known."""
        name = self.table.columns[number].name
        for each in self._before.values():
            if name in each.surely and not each.all:
                [source] = self.table.numbers([each.copies.get(name, "")]) or [None]
                if source is None:
                    return True
                plain = self._plain(source)
                return True if self.table.columns[source].required else None if plain is None else plain != "NULL"
        return None

    def writes(self, columns: frozenset[int] | set[int]) -> bool:
        """Whether it is given a value for one of the columns, or perhaps is."""
        return self.target.open or not columns.isdisjoint(self.target.given)

    def value(self, number: int) -> str | None:
        """The SQL of what a column gets, None where it is not known."""
        return None if self.table.columns[number].name in self._set else self._plain(number)

    def _plain(self, number: int) -> str | None:
        """The same before any trigger."""
        column = self.table.columns[number]
        value: Value = self.target.given.get(number, DEFAULT if self.target.operation == INSERT else None)
        if value != DEFAULT:
            return value if isinstance(value, str) else None
        if column.computed or (self.target.open and number not in self.target.given):
            return None
        return "1" if _is_counted(column) else column.value or "NULL"

    def known(self, columns: frozenset[int]) -> dict[int, str]:
        """Of these columns the values that are known."""
        return {number: value for number in columns if (value := self.value(number)) is not None}

    def bases(self, columns: frozenset[int]) -> frozenset[int]:
        """The columns that these are, or are computed from."""
        return frozenset(base for number in columns for base in _bases(self.table, number))

    def passes(self, condition: Condition) -> bool | None:
        """Whether the row satisfies the condition; None: that depends on values that are not known."""
        columns = self.bases(condition.columns)
        names = {self.table.columns[number].name for number in columns}
        if self.target.operation == UPDATE and not self.writes(columns):
            # A constraint that is not valid is checked in each row that is updated.
            return (
                None
                if condition.kind == "check" and conditions.is_violated(self._conn, condition, self.table)
                else True
            )
        if (equality := equality_of(tree.condition(condition.text))) and equality.wanted:
            pair = equality.left[1], equality.right[1]
            if any(each.copies.get(a) == b for each in self._before.values() for a, b in (pair, pair[::-1])):
                return True
        setters = [each for each in self._before.values() if each.all or names & each.perhaps]
        is_set_fit = setters and all(names <= each.caught and not each.all for each in setters)
        if condition.kind == "type" and is_set_fit and not self.writes(columns):
            return True
        if condition.kind == "not null" or (len(names) == 1 and _NOT_NULL.fullmatch(condition.text)):
            of = [self.table.columns[number] for number in columns]
            if columns == condition.columns and names <= self._set:
                return self._is_filled(min(columns))
            if columns != condition.columns:
                expression = tree.condition(self.table.columns[min(condition.columns)].value or "NULL")
                value: Value = not_null(tree.unwrap(expression), ("",)) if expression is not None else None
            else:
                value = self.target.given.get(min(columns)) if len(columns) == 1 else None
            if isinstance(value, Premise):
                needs = [each for each in self.table.columns.values() if each.name in value.columns]
                return True if all(each.required for each in needs) else None
            if columns != condition.columns and all(each.required for each in of):
                return True
            if any(map(_is_counted, of)):
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
        if _is_counted(column) or column.computed:
            return _is_counted(column)
        expression = tree.condition(column.value or "NULL")
        kinds = ("FuncCall", "SQLValueFunction")
        return expression is None or any(tree.kind(node) in kinds for node in tree.walk(expression))

    def _stays(self, equality: Equality, changed: frozenset[str]) -> bool:
        """Whether NEW has what OLD has, since nothing sets the column."""
        (of, name), (with_, equal_name) = equality.left, equality.right
        if {of, with_} != {("new",), ("old",)} or name != equal_name or self.target.operation != UPDATE:
            return False
        return name not in changed and not self.writes(set(self.table.numbers([name])))

    def rejected_by(self, trigger: Trigger) -> Outcome:
        """Whether the trigger rejects the row."""
        if trigger.oid in self._before:
            return self._before[trigger.oid].outcome
        return triggers.followed(trigger, self._decider(trigger, self._set)).outcome

    def _decider(self, trigger: Trigger, changed: frozenset[str]) -> Decide:
        """Tells which conditions of a trigger are true of the row, as far as its values and the operation decide.

        Of the columns that triggers before it have `changed` nothing is known.
        """
        of_row = trigger.type & ROW and self.target.operation != DELETE
        plain = {number: self._plain(number) for number in self.table.columns} if of_row else {}
        more = f", (SELECT '{self.target.operation.upper()}' AS tg_op) AS operation"

        def decide(text: str, set_since: frozenset[str]) -> bool | None:
            lost = changed | set_since
            if "" in lost:
                lost = self._names
            condition = tree.condition(text)
            columns = self.table.columns
            known = {n: value for n, value in plain.items() if value is not None and columns[n].name not in lost}
            return None if condition is None else truth(condition, known, lost)

        def truth(condition: tree.Node, known: dict[int, str], set_since: frozenset[str]) -> bool | None:
            node = tree.unwrap(condition)
            if tree.kind(node) == "BoolExpr" and node.boolop in (AND_EXPR, OR_EXPR):
                parts, decisive = [truth(each, known, set_since) for each in node.args], node.boolop == OR_EXPR
                return decisive if decisive in parts else None if None in parts else not decisive
            if (equality := equality_of(condition)) and (same := self._stays(equality, changed | set_since)):
                return same is equality.wanted
            text = tree.text_if_writable(condition)
            if not text or not _is_decidable(condition, {self.table.columns[number].name for number in known}):
                return None
            return conditions.holds(self._conn, f"({text}) IS TRUE", self.table, known, more)

        return decide


def _is_decidable(condition: tree.Node, names: set[str]) -> bool:
    """Whether all that it depends on is a known column of NEW, or TG_OP."""
    parts = list(tree.walk(condition))
    if any(tree.kind(part) in ("SubLink", "SQLValueFunction") for part in parts):
        return False
    if any(tree.kind(part) == "FuncCall" and tree.name(part) not in _SAME_ANYWHERE for part in parts):
        return False
    columns = [tree.column(part) for part in parts if tree.kind(part) == "ColumnRef"]
    return all(
        column is not None and (column == ((), "tg_op") or (column[0] == ("new",) and column[1] in names))
        for column in columns
    )


def _is_counted(column: Column) -> bool:
    """Whether a sequence gives its values, which nobody asks for one here."""
    return column.counted or "nextval(" in (column.value or "")


def _bases(table: Table, number: int) -> tuple[int, ...]:
    column = table.columns[number]
    if not column.computed:
        return (number,)
    expression = tree.condition(column.value or "")
    nodes = tree.walk(expression) if expression is not None else ()
    return table.numbers([named[1] for node in nodes if (named := tree.column(node))])
