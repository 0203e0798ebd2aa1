"""What a statement writes: into which tables and views, which columns, and which of the values are constants."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postgast.pg_query_pb2 import CMD_DELETE, CMD_INSERT, CMD_UPDATE, ONCONFLICT_NOTHING, ONCONFLICT_UPDATE, SETOP_NONE

from pgyoyo.sql import tree
from pgyoyo.sql.idempotence import Premise, not_null

INSERT, UPDATE, DELETE = "insert", "update", "delete"
DEFAULT: Final = "DEFAULT"
# What an expression with one of these is depends on more than its text.
_NOT_CONSTANT = frozenset((
    "ColumnRef", "ParamRef", "SubLink", "FuncCall", "SQLValueFunction", "MultiAssignRef", "SetToDefault", "A_Indirection",
))  # fmt: skip
_NULL: Final = "NULL"
_EVENTS = {CMD_INSERT: INSERT, CMD_UPDATE: UPDATE, CMD_DELETE: DELETE}

# The SQL of a constant, DEFAULT, on what premise it is not NULL, or None where nothing is known from the text.
Value = str | Premise | None


@dataclass(frozen=True, slots=True)
class Write:
    """An INSERT, UPDATE or DELETE of rows of `relation`, perhaps with a schema before it.

    `names` are the columns, none for an INSERT into all of them in their order; `values` is as long as what is given, None
    where that is not known. `lenient`: rows that are there already are skipped.
    """

    relation: tuple[str, ...]
    operation: str
    names: tuple[str, ...] = ()
    values: tuple[Value, ...] | None = ()
    lenient: bool = False


def writes(text: str) -> tuple[Write, ...]:
    """The writes of a statement, each once, those in its WITH included; none where it can't be read."""
    node, error = tree.parse_or_error(text)
    return () if error or node is None else of_node(node)


def of_node(node: tree.Node) -> tuple[Write, ...]:
    """The writes in a parse tree, each once."""
    return of_nodes(tree.walk(node))


def of_nodes(nodes: Iterable[tree.Node]) -> tuple[Write, ...]:
    """The writes among the nodes of a tree, each once."""
    return tuple(dict.fromkeys(write for each in nodes for write in _of(each)))


def event(rule: tree.Node) -> str:
    """What a rule is for, "" for SELECT."""
    return _EVENTS.get(rule.event, "")


def _of(node: tree.Node) -> Iterator[Write]:
    match tree.kind(node):
        case "InsertStmt":
            yield from _insert(node)
        case "UpdateStmt":
            yield _update(node.relation, node.target_list, plain=not node.from_clause)
        case "DeleteStmt":
            yield Write(relation_of(node.relation), DELETE)
        case "MergeStmt":
            yield from _merge(node)


def relation_of(relation: tree.Node) -> tuple[str, ...]:
    """The name of a RangeVar, perhaps with its schema before it."""
    return tuple(part for part in (relation.schemaname, relation.relname) if part)


def _insert(node: tree.Node) -> Iterator[Write]:
    names = tuple(tree.unwrap(column).name for column in node.cols)
    conflict = node.on_conflict_clause if node.HasField("on_conflict_clause") else None
    lenient = conflict is not None and conflict.action == ONCONFLICT_NOTHING and not conflict.HasField("infer")
    for values in _rows(node, len(names)):
        yield Write(relation_of(node.relation), INSERT, names, values, lenient)
    if conflict is not None and conflict.action == ONCONFLICT_UPDATE:
        yield _update(node.relation, conflict.target_list, plain=True)


def _rows(node: tree.Node, named: int) -> Iterator[tuple[Value, ...] | None]:
    """What is given for the columns: a tuple for each row of VALUES, one for a query, None where nobody knows how many."""
    if not node.HasField("select_stmt"):
        yield ()  # DEFAULT VALUES
        return
    select = tree.unwrap(node.select_stmt)
    if select.values_lists:
        for row in select.values_lists:
            yield tuple(value(item) for item in tree.unwrap(row).items)
    elif named:
        yield _selected(select) or (None,) * named
    else:
        yield _selected(select)


def _selected(select: tree.Node) -> tuple[Value, ...] | None:
    targets = [tree.unwrap(target).val for target in select.target_list]
    if select.op != SETOP_NONE or any(tree.kind(part) == "A_Star" for each in targets for part in tree.walk(each)):
        return None
    return tuple(value(each) for each in targets)


def _update(relation: tree.Node, targets: Sequence[tree.Node], *, plain: bool) -> Write:
    """`plain`: no other relation has columns that need no qualifier."""
    parts = [tree.unwrap(target) for target in targets]
    own = {relation.alias.aliasname or relation.relname, *([""] if plain else [])}
    # Of a column's element or field, the rest of the column is not known.
    values = tuple(None if part.indirection else value(part.val, own) for part in parts)
    return Write(relation_of(relation), UPDATE, tuple(part.name for part in parts), values)


def _merge(node: tree.Node) -> Iterator[Write]:
    relation = relation_of(node.relation)
    for clause in map(tree.unwrap, node.merge_when_clauses):
        operation = _EVENTS.get(clause.command_type)
        if operation == UPDATE:
            yield _update(node.relation, clause.target_list, plain=False)
        elif operation == INSERT:
            names = tuple(tree.unwrap(target).name for target in clause.target_list)
            yield Write(relation, INSERT, names, tuple(value(each) for each in clause.values))
        elif operation == DELETE:
            yield Write(relation, DELETE)


def value(expression: tree.Node, own: Collection[str] = ()) -> Value:
    """What is known of an expression; `own` are the qualifiers of the columns of the row that is updated."""
    node = tree.unwrap(expression)
    if tree.kind(node) == "SetToDefault":
        return DEFAULT
    if tree.kind(node) == "A_Const" and node.isnull:
        return _NULL
    if node is None or any(tree.kind(part) in _NOT_CONSTANT for part in tree.walk(expression)):
        return None if node is None else not_null(node, own)
    return tree.text_if_writable(expression) or None
