"""The values in a statement: where they stand, and how a parameter is written there so that a server takes it.

PostgreSQL gives a parameter the type that its surroundings want, as it does with a string; a number in an expression has a
type of its own, and so has DATE '2026-01-01'. What says how a statement works stays as it is: NULL, the numbers in
ORDER BY 2, the predicate in ON CONFLICT … WHERE, the sequence in nextval('a_id_seq').
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

from postgast import pg_query_pb2 as pb

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node


@dataclass(frozen=True, slots=True)
class Value:
    """What stands around the parameter in the place of a value; `typed_from` is where the name of its type begins, as in
    DATE '2026-01-01', and `instead` what stands there where no parameter may.
    """

    before: str = ""
    after: str = ""
    typed_from: int | None = None
    instead: str = ""


class _Place(Enum):
    TYPED = auto()  # it has a type of its own
    FREE = auto()  # it takes the type of what is beside it
    ANY = auto()  # nothing gives a string a type
    KEPT = auto()
    CONSTANT = auto()  # the grammar wants a constant


_PLAIN = Value()
_CONST, _PARAM = "A_Const", "ParamRef"
_COMPARISONS = frozenset(("=", "<>", "<", ">", "<=", ">="))
_COMPARE = frozenset((
    pb.AEXPR_IN, pb.AEXPR_LIKE, pb.AEXPR_ILIKE, pb.AEXPR_BETWEEN, pb.AEXPR_NOT_BETWEEN, pb.AEXPR_BETWEEN_SYM,
    pb.AEXPR_NOT_BETWEEN_SYM, pb.AEXPR_DISTINCT, pb.AEXPR_NOT_DISTINCT, pb.AEXPR_NULLIF, pb.AEXPR_OP_ANY, pb.AEXPR_OP_ALL,
))  # fmt: skip
# Their arguments are of type "any" (pg_proc).
_TAKE_ANY = frozenset((
    "concat", "concat_ws", "count", "format", "json_build_array", "json_build_object", "json_object_agg", "jsonb_build_array",
    "jsonb_build_object", "jsonb_object_agg", "num_nonnulls", "num_nulls", "pg_collation_for", "pg_column_size", "pg_typeof",
))  # fmt: skip
# Their first argument is the name of something in the schema.
_TAKE_NAMES = frozenset((
    "currval", "nextval", "pg_get_serial_sequence", "setval", "to_regclass", "to_regnamespace", "to_regproc", "to_regtype",
))  # fmt: skip
_NAME_TYPES = frozenset((
    "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc",
    "regprocedure", "regrole", "regtype",
))  # fmt: skip
# Types that are called as functions are.
_TYPE_FUNCTIONS = frozenset((
    "bool", "box", "bytea", "cidr", "circle", "date", "float4", "float8", "inet", "int2", "int4", "int8", "json", "jsonb",
    "line", "lseg", "macaddr", "money", "name", "numeric", "path", "point", "polygon", "text", "tsquery", "tsvector",
    "uuid", "xml",
))  # fmt: skip
_ROWS = frozenset(("RowExpr", "List", "SubLink"))
# What stands where its parent does.
_TRANSPARENT = frozenset(("List", "RowExpr", "NamedArgExpr", "ResTarget", "MultiAssignRef"))
_BIGINT = range(-(1 << 63), 1 << 63)


def values(statement: Node) -> dict[int, Value]:
    """Each value by the byte where it stands; parameters too, where they need something around them."""
    search = _Search(Counter(part.number for part in tree.walk(statement) if tree.kind(part) == _PARAM))
    search.outermost(statement)
    return search.values


class _Search:
    def __init__(self, uses: Counter[int]) -> None:
        self.values: dict[int, Value] = {}
        self._uses = uses

    def outermost(self, statement: Node) -> None:
        if tree.kind(statement) == "SelectStmt":
            self._select(statement, targets=_Place.FREE)
        else:
            self._visit(statement)

    def _visit(self, node: Node, place: _Place = _Place.TYPED) -> None:
        match tree.kind(node):
            case "" | "TypeName":
                return  # the numbers in varchar(10) are no values
            case "A_Const":
                self._constant(node, place)
            case "ParamRef":
                self._parameter(node, place)
            case "TypeCast":
                self._cast(node, place)
            case "JsonTablePathSpec":
                self._path(node)
            case "RowExpr" if place is _Place.TYPED:
                self._below(node, _Place.ANY)
            case "JsonBehavior":
                self._below(node, _Place.CONSTANT)
            case kind if place is _Place.KEPT or kind in _TRANSPARENT:
                self._below(node, place)
            case "SelectStmt":
                self._select(node)
            case "InsertStmt":
                self._insert(node)
            case "UpdateStmt" | "MergeWhenClause":
                self._assign(node)
            case "A_Expr":
                self._expression(node)
            case "FuncCall":
                self._function(node)
            case "CoalesceExpr" | "MinMaxExpr":
                self._results([tree.unwrap(argument) for argument in node.args])
            case "CaseExpr":
                self._case(node)
            case "NullTest":
                self._test(node)
            case "SubLink":
                self._sublink(node)
            case "A_Indices":
                self._below(node, _Place.FREE)
            case _:
                self._below(node)

    def _below(self, node: Node, place: _Place = _Place.TYPED, *, but: tuple[str, ...] = ()) -> None:
        for field, value in node.ListFields():
            if field.name not in but and field.message_type is not None:
                for item in _items(value):
                    self._visit(item, place)

    def _constant(self, node: Node, place: _Place) -> None:
        kind = node.WhichOneof("val")
        if node.isnull or kind is None or place is _Place.KEPT or (kind == "boolval" and place is not _Place.FREE):
            return
        own = ""
        if place in (_Place.TYPED, _Place.ANY):
            own = {"ival": "integer", "fval": _number_type(node.fval.fval), "bsval": "bit"}.get(kind, "")
        if place is _Place.ANY and kind == "sval":
            own = "text"
        value = Value("CAST(", f" AS {own})") if own else _PLAIN
        if place is _Place.CONSTANT:
            value = Value(instead="''" if kind == "sval" else "0")
        self.values[node.location] = value

    def _parameter(self, node: Node, place: _Place) -> None:
        if place is _Place.ANY and self._uses[node.number] == 1:
            self.values[node.location] = Value("CAST(", " AS text)")

    def _cast(self, node: Node, place: _Place) -> None:
        value = tree.unwrap(node.arg)
        if tree.kind(value) == "A_ArrayExpr":
            self._below(value, _Place.FREE)
        elif tree.kind(value) not in (_CONST, _PARAM):
            self._visit(value)
        elif tree.unwrap(node.type_name.names[-1]).sval in _NAME_TYPES or place is _Place.KEPT:
            return
        elif node.location == -1 and node.type_name.location > 0:  # not the grammar's own, as in substring(x FOR 3)
            self.values[value.location] = Value("CAST(", ")", node.type_name.location)
        else:
            self._visit(value, _Place.FREE)

    def _select(self, node: Node, *, targets: _Place = _Place.TYPED) -> None:
        if node.op != pb.SETOP_NONE:
            targets = _Place.TYPED
        for target in node.target_list:
            self._visit(tree.unwrap(target), targets)
        for limit in (node.limit_offset, node.limit_count):
            self._visit(tree.unwrap(limit), _Place.FREE)
        for item in (*node.group_clause, *node.distinct_clause, *node.sort_clause):
            expression = tree.unwrap(item)
            # A number is the place of a column of the result.
            if tree.kind(tree.unwrap(expression.node) if tree.kind(expression) == "SortBy" else expression) != _CONST:
                self._visit(expression)
        handled = ("target_list", "limit_offset", "limit_count", "group_clause", "distinct_clause", "sort_clause")
        self._below(node, but=handled)

    def _insert(self, node: Node) -> None:
        select = tree.unwrap(node.select_stmt)
        if tree.kind(select) == "SelectStmt":
            for row in select.values_lists:
                self._visit(tree.unwrap(row), _Place.FREE)
            del select.values_lists[:]
            self._select(select, targets=_Place.FREE)
        for target in node.on_conflict_clause.target_list:
            self._visit(tree.unwrap(target), _Place.FREE)
        self._visit(node.on_conflict_clause.infer, _Place.KEPT)
        self._visit(tree.unwrap(node.on_conflict_clause.where_clause))
        self._below(node, but=("select_stmt", "on_conflict_clause"))

    def _assign(self, node: Node) -> None:
        """UPDATE's SET, and what MERGE does."""
        for item in (*node.target_list, *getattr(node, "values", ())):
            self._visit(tree.unwrap(item), _Place.FREE)
        self._below(node, but=("target_list", "values"))

    def _expression(self, node: Node) -> None:
        left, right = tree.unwrap(node.lexpr), tree.unwrap(node.rexpr)
        compares = node.kind in _COMPARE or (node.kind == pb.AEXPR_OP and tree.name(node) in _COMPARISONS)
        for side, opposite in ((left, right), (right, left)):
            is_row = tree.kind(side) == "RowExpr" and tree.kind(opposite) not in _ROWS
            self._visit(side, _Place.FREE if compares and not is_row and not _is_bare(opposite) else _Place.TYPED)

    def _function(self, node: Node) -> None:
        name = tree.name(node)
        if len(node.args) == 1 and name in _TYPE_FUNCTIONS and self._type_function(tree.unwrap(node.args[0]), name):
            return
        for number, argument in enumerate(node.args):
            place = _Place.ANY if name in _TAKE_ANY else _Place.TYPED
            self._visit(
                tree.unwrap(argument), _Place.KEPT if name in _TAKE_NAMES | _NAME_TYPES and not number else place
            )
        self._below(node, but=("funcname", "args"))

    def _type_function(self, argument: Node, name: str) -> bool:
        """Whether it is a cast: date('2026-01-01') takes a string only where it is a constant."""
        is_value = tree.kind(argument) == _CONST and argument.HasField("sval")
        if is_value or (tree.kind(argument) == _PARAM and self._uses[argument.number] == 1):
            self.values[argument.location] = Value("CAST(", f" AS {name})")
            return True
        return False

    def _results(self, results: list[Node]) -> None:
        """Those of COALESCE, GREATEST and CASE: one of them gives the others its type."""
        place = _Place.TYPED if all(map(_is_bare, results)) else _Place.FREE
        for result in results:
            self._visit(result, _Place.TYPED if _is_fraction(result) else place)

    def _case(self, node: Node) -> None:
        cases = [tree.unwrap(case) for case in node.args]
        self._results([tree.unwrap(result) for result in (*(case.result for case in cases), node.defresult)])
        for case in cases:
            self._visit(tree.unwrap(case.expr), _Place.FREE if node.HasField("arg") else _Place.TYPED)
        self._visit(tree.unwrap(node.arg))

    def _test(self, node: Node) -> None:
        value = tree.unwrap(node.arg)
        self._visit(value, _Place.ANY if tree.kind(value) == _CONST else _Place.TYPED)

    def _sublink(self, node: Node) -> None:
        self._visit(tree.unwrap(node.testexpr))
        exists = node.sub_link_type == pb.EXISTS_SUBLINK
        self._select(tree.unwrap(node.subselect), targets=_Place.FREE if exists else _Place.TYPED)

    def _path(self, node: Node) -> None:
        """A path of JSON_TABLE, which has to be a constant: it stays unless it compares with a value."""
        path = tree.unwrap(node.string)
        if tree.kind(path) == _CONST and any(sign in path.sval.sval for sign in "\"'?=<>"):
            self.values[path.location] = Value(instead="'$'")


def _items(value: Node) -> Iterator[Node]:
    for item in [value] if hasattr(value, "DESCRIPTOR") else value:
        node = tree.unwrap(item) if tree.kind(item) == "Node" else item
        if node is not None:
            yield node


def _is_bare(node: Node) -> bool:
    """Whether it is nothing but values, so that it gives no type to what is compared with it."""
    match tree.kind(node):
        case "A_Const" | "ParamRef" | "":
            return True
        case "List":
            return all(_is_bare(tree.unwrap(item)) for item in node.items)
        case "RowExpr":
            return all(_is_bare(tree.unwrap(item)) for item in node.args)
    return False


def _is_fraction(node: Node) -> bool:
    return tree.kind(node) == _CONST and node.HasField("fval")


def _number_type(text: str) -> str:
    with suppress(ValueError):
        return "bigint" if int(text, 0) in _BIGINT else "numeric"
    return "numeric"
