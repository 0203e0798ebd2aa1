"""What a statement will meet in the rows of the database: the questions that its parse tree asks. Pure.

A question names rows that the statement refuses. Only columns, constants, operators and some functions of PostgreSQL's own
stand in it: the migration may be anybody's, and the database is the real one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgyoyo.identifiers import quoted
from pgyoyo.review.commands import commands
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_NODES = frozenset((
    "ColumnRef", "String", "A_Const", "Integer", "Float", "Boolean", "A_Expr", "BoolExpr", "NullTest", "BooleanTest",
    "FuncCall", "TypeCast", "TypeName", "CoalesceExpr", "CaseExpr", "CaseWhen", "List", "A_ArrayExpr", "MinMaxExpr",
))  # fmt: skip
_FUNCTIONS = frozenset((
    "abs", "array_length", "btrim", "cardinality", "ceil", "char_length", "character_length", "date_part", "date_trunc",
    "extract", "floor", "isfinite", "jsonb_typeof", "json_typeof", "left", "length", "lower", "ltrim", "num_nonnulls",
    "num_nulls", "octet_length", "position", "right", "round", "rtrim", "starts_with", "strpos", "substr", "substring",
    "trim", "upper",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the statement names it; `schema` may be left out."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Nulls:
    """Rows with NULL in any of the columns."""

    table: Table
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows that share a key, a list of columns and expressions in SQL, among those that `where` is true for."""

    table: Table
    keys: tuple[str, ...]
    where: str | None = None
    nulls_count: bool = False


@dataclass(frozen=True, slots=True)
class Violations:
    """Rows for which a CHECK, in SQL, is false."""

    table: Table
    check: str
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Orphans:
    """Rows whose foreign key points to no row of `parent`; without `targets`, at its primary key. `full`: MATCH FULL."""

    table: Table
    columns: tuple[str, ...]
    parent: Table
    targets: tuple[str, ...] = ()
    full: bool = False
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Narrower:
    """Values that don't fit into another type, given by its bare name and its modifiers, such as numeric and (8, 2)."""

    table: Table
    column: str
    type: str
    modifiers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Validation:
    """Rows that a constraint of the database, which is not validated, refuses."""

    table: Table
    constraint: str


Question = Nulls | Duplicates | Violations | Orphans | Narrower | Validation


def questions(sql: str) -> list[Question]:
    """What to ask of the rows there before the statement, or the code in it, runs; none where its text tells nothing."""
    return [question for command in commands(sql) for question in _of_command(command)]


def _of_command(statement: Node) -> list[Question]:
    if tree.kind(statement) == "IndexStmt" and statement.unique:
        return list(_index(statement))
    if tree.kind(statement) == "AlterTableStmt":
        table = _table(statement.relation)
        return [each for command in statement.cmds for each in _subcommand(table, command.alter_table_cmd)]
    return []


def harmless(expression: Node) -> bool:
    """Whether nothing in an expression does more than look at a row."""
    return all(_is_harmless(node) for node in tree.walk(expression))


def _is_harmless(node: Node) -> bool:
    match tree.kind(node):
        case "FuncCall":
            names = _strings(node.funcname)
            return names[-1] in _FUNCTIONS and names[:-1] in ((), ("pg_catalog",))
        case "A_Expr":
            return len(node.name) == 1
        case "TypeName":
            return _strings(node.names)[:-1] in ((), ("pg_catalog",))
        case kind:
            return kind in _NODES


def _index(statement: Node) -> Iterator[Question]:
    elements = [element.index_elem for element in statement.index_params]
    where = statement.where_clause if statement.HasField("where_clause") else None
    expressions = [element.expr for element in elements if element.HasField("expr")]
    if all(harmless(each) for each in (*expressions, *([where] if where is not None else []))):
        keys = tuple(tree.text(each.expr) if each.HasField("expr") else quoted(each.name) for each in elements)
        condition = tree.text(where) if where is not None else None
        yield Duplicates(_table(statement.relation), keys, condition, statement.nulls_not_distinct)


def _subcommand(table: Table, command: Node) -> Iterator[Question]:
    given = getattr(command, "def")
    match _enum(command, "subtype"):
        case "AT_SetNotNull":
            yield Nulls(table, (command.name,))
        case "AT_ValidateConstraint":
            yield Validation(table, command.name)
        case "AT_AddConstraint":
            yield from _constraint(table, given.constraint)
        case "AT_AlterColumnType":
            column = given.column_def
            if not column.HasField("raw_default") or _is_cast_of(column.raw_default, command.name):
                yield from _type(table, command.name, column.type_name)


def _constraint(table: Table, constraint: Node) -> Iterator[Question]:
    keys = _strings(constraint.keys)
    valid = not constraint.skip_validation
    match _enum(constraint, "contype"):
        case "CONSTR_NOTNULL" if valid:
            yield Nulls(table, keys)
        case "CONSTR_PRIMARY" if keys:
            yield Nulls(table, keys)
            yield Duplicates(table, tuple(map(quoted, keys)))
        case "CONSTR_UNIQUE" if keys:
            yield Duplicates(table, tuple(map(quoted, keys)), nulls_count=constraint.nulls_not_distinct)
        case "CONSTR_CHECK" if harmless(constraint.raw_expr):
            yield Violations(table, tree.text(constraint.raw_expr), valid)
        case "CONSTR_FOREIGN":
            parent, full = _table(constraint.pktable), constraint.fk_matchtype == "f"
            yield Orphans(table, _strings(constraint.fk_attrs), parent, _strings(constraint.pk_attrs), full, valid)


def _type(table: Table, column: str, type_name: Node) -> Iterator[Question]:
    *schema, name = _strings(type_name.names)
    modifiers = [tree.unwrap(each) for each in type_name.typmods]
    if schema in ([], ["pg_catalog"]) and not type_name.array_bounds and not type_name.setof:
        yield Narrower(table, column, name, tuple(each.ival.ival for each in modifiers))


def _is_cast_of(expression: Node, column: str) -> bool:
    node = tree.unwrap(expression)
    while tree.kind(node) == "TypeCast":
        node = tree.unwrap(node.arg)
    return tree.column(node) == ((), column)


def _table(relation: Node) -> Table:
    return Table(relation.schemaname or None, relation.relname)


def _strings(nodes: Sequence[Node]) -> tuple[str, ...]:
    return tuple(tree.unwrap(node).sval for node in nodes)


def _enum(message: Node, field: str) -> str:
    return str(message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name)
