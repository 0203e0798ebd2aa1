"""Whether an UPDATE may be repeated: its WHERE is false for the rows it has updated."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from postgast import pg_query_pb2 as pb

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

# These return NULL only for a NULL argument (pg_proc.proisstrict, and no value that gives NULL).
_STRICT = frozenset((
    "abs", "btrim", "ceil", "ceiling", "char_length", "date_trunc", "floor", "length", "lower", "ltrim", "md5",
    "octet_length", "replace", "reverse", "round", "rtrim", "setweight", "sign", "sqrt", "timezone", "to_tsvector",
    "trunc", "upper",
))  # fmt: skip
_NEVER_NULL = frozenset((
    "clock_timestamp", "concat", "concat_ws", "count", "gen_random_uuid", "jsonb_build_array", "jsonb_build_object",
    "json_build_array", "json_build_object", "nextval", "now", "num_nonnulls", "num_nulls", "random", "row_number",
    "statement_timestamp", "timeofday", "transaction_timestamp", "uuid_generate_v4", "uuidv4", "uuidv7",
))  # fmt: skip
_ARITHMETIC = frozenset(("+", "-", "*", "/", "%", "||", "=", "<>", "<", ">", "<=", ">="))


@dataclass(frozen=True, slots=True)
class Premise:
    """What a conclusion rests on: that the `columns` are NOT NULL, and, if not `sure`, that no NULL is set."""

    columns: frozenset[str] = frozenset()
    sure: bool = True

    def and_(self, second: "Premise") -> "Premise":
        """The premise of both conclusions."""
        return Premise(self.columns | second.columns, self.sure and second.sure)

    @property
    def rank(self) -> tuple[bool, int]:
        """The weaker premise comes first."""
        return not self.sure, len(self.columns)


@dataclass(frozen=True, slots=True)
class Assignments:
    """The new values of an UPDATE by column; `names` are what it may call its table."""

    names: frozenset[str]
    sets: Mapping[str, Node]

    def make_false(self, node: Node) -> Premise | None:
        """On what premise the condition is false (or null) once the row is updated; None if that can't be shown."""
        match tree.kind(node):
            case "BoolExpr" if node.boolop == pb.AND_EXPR:
                premises = [premise for part in node.args if (premise := self.make_false(tree.unwrap(part)))]
                return min(premises, key=lambda premise: premise.rank, default=None)
            case "BoolExpr" if node.boolop == pb.OR_EXPR:
                return _all(self.make_false(tree.unwrap(part)) for part in node.args)
            case "BoolExpr":
                return self._becomes(tree.unwrap(node.args[0]), value=True)
            case "NullTest":
                return self._null_test(node, is_null=node.nulltesttype == pb.IS_NULL)
            case "BooleanTest":
                becomes = {pb.IS_NOT_TRUE: True, pb.IS_FALSE: True, pb.IS_TRUE: False, pb.IS_NOT_FALSE: False}
                value = becomes.get(node.booltesttype)
                return None if value is None else self._becomes(tree.unwrap(node.arg), value=value)
            case "ColumnRef":
                return self._becomes(node, value=False)
            case "A_Expr":
                return self._comparison(node)
        return None

    def not_null(self, node: Node) -> Premise | None:
        """On what premise a value is not NULL."""
        return not_null(node, self.names | {""})

    def target(self, node: Node) -> str | None:
        """The column that the node is, if the UPDATE sets it."""
        named = tree.column(node)
        if named and named[1] in self.sets and (not named[0] or named[0][-1] in self.names):
            return named[1]
        return None

    def _shape(self, node: Node) -> object:
        """The shape of a value, however its own table's columns are qualified in it."""
        copy = type(node)()
        copy.CopyFrom(node)
        for part in tree.walk(copy):
            named = tree.column(part)
            if named and named[0] and named[0][-1] in self.names:
                del part.fields[:-1]
        return tree.shape(copy)

    def _may_be_set(self, node: Node) -> bool:
        named = tree.column(node)
        return named is None or named[1] in self.sets

    def _stays(self, node: Node) -> bool:
        """Whether this part of a value is the same after the UPDATE, and in the next transaction."""
        match tree.kind(node):
            case "ColumnRef":
                return not self._may_be_set(node)
            case "FuncCall":
                return tree.name(node) in _STRICT
        return tree.kind(node) != "SQLValueFunction"

    def _null_test(self, node: Node, *, is_null: bool) -> Premise | None:
        column = self.target(tree.unwrap(node.arg))
        if column is None:
            return None
        value = self.sets[column]
        null = tree.kind(value) == "A_Const" and value.isnull
        if not is_null:
            return Premise() if null else None
        return None if null else self.not_null(value) or Premise(sure=False)

    def _becomes(self, node: Node, *, value: bool) -> Premise | None:
        """The column is set to this very boolean."""
        column = self.target(node)
        return Premise() if column and _boolean(self.sets[column]) is value else None

    def _comparison(self, node: Node) -> Premise | None:
        """c = old, c IN (old, …), c <> new, c IS DISTINCT FROM new, for a column that is set to new."""
        left, right = node.lexpr, node.rexpr
        if node.kind == pb.AEXPR_IN and tree.name(node) == "=":
            column = self.target(tree.unwrap(node.lexpr))
            values = [tree.unwrap(item) for item in tree.unwrap(node.rexpr).items]
            return Premise() if column and all(_differ(self.sets[column], value) for value in values) else None
        if node.kind not in (pb.AEXPR_OP, pb.AEXPR_DISTINCT):
            return None
        for side, opposite in ((left, right), (right, left)):
            column, value = self.target(tree.unwrap(side)), tree.unwrap(opposite)
            if column is None or value is None:
                continue
            new = self.sets[column]
            if node.kind == pb.AEXPR_DISTINCT or tree.name(node) == "<>":
                same = self._shape(new) == self._shape(value) and all(map(self._stays, tree.walk(value)))
                return Premise() if same else None
            if tree.name(node) == "=" and _differ(new, value):
                return Premise()
        return None


def _constant(node: Node) -> tuple[str, object] | None:
    """Type (as written) and value of a literal that is not NULL."""
    if tree.kind(node) == "TypeCast":
        inner = _constant(tree.unwrap(node.arg))
        return inner and (str(tree.shape(node.type_name)), inner[1])
    if tree.kind(node) == "A_Expr" and tree.kind(tree.unwrap(node.lexpr)) == "" and tree.name(node) == "-":
        inner = _constant(tree.unwrap(node.rexpr))
        return ("number", -inner[1]) if inner and isinstance(inner[1], Decimal) else None
    if tree.kind(node) != "A_Const" or node.isnull:
        return None
    which = node.WhichOneof("val")
    value = getattr(getattr(node, which), which)
    if which in ("ival", "fval"):
        try:
            return "number", Decimal(value)
        except InvalidOperation:
            return None
    return which, value


def _boolean(node: Node) -> bool | None:
    constant = _constant(node)
    return constant[1] if constant and isinstance(constant[1], bool) else None


def _differ(new: Node, old: Node) -> bool:
    """Whether two literals, written with the same type, are certainly not equal; blanks and case don't count."""
    left, right = _constant(new), _constant(old)
    if left is None or right is None or left[0] != right[0]:
        return False
    if isinstance(left[1], str) and isinstance(right[1], str):
        return left[1].strip().casefold() != right[1].strip().casefold()
    return left[1] != right[1]


def not_null(node: Node, names: Collection[str]) -> Premise | None:
    """On what premise a value is not NULL: that a column of the table is NOT NULL; None if that can't be shown.

    `names` are what the table may be called before its columns, "" where they may stand by themselves.
    """
    match tree.kind(node):
        case "A_Const":
            return None if node.isnull else Premise()
        case "ColumnRef":
            named = tree.column(node)
            ours = named is not None and (named[0][-1] if named[0] else "") in names
            return Premise(frozenset((named[1],))) if named and ours else None
        case "TypeCast":
            return not_null(tree.unwrap(node.arg), names)
        case "CoalesceExpr":
            premises = [premise for part in node.args if (premise := not_null(tree.unwrap(part), names))]
            return min(premises, key=lambda premise: premise.rank, default=None)
        case "SQLValueFunction" | "NullTest" | "BooleanTest":
            return Premise()
        case "BoolExpr":
            return _all(not_null(tree.unwrap(part), names) for part in node.args)
        case "FuncCall" if tree.name(node) in _NEVER_NULL:
            return Premise()
        case "FuncCall" if tree.name(node) in _STRICT and node.args:
            return _all(not_null(tree.unwrap(part), names) for part in node.args)
        case "A_Expr" if node.kind == pb.AEXPR_OP and tree.name(node) in _ARITHMETIC:
            sides = [tree.unwrap(side) for side in (node.lexpr, node.rexpr)]
            return _all(not_null(side, names) for side in sides if side is not None)
        case "CaseExpr":
            values = [tree.unwrap(tree.unwrap(arm).result) for arm in node.args] + [tree.unwrap(node.defresult)]
            return _all(None if value is None else not_null(value, names) for value in values)
    return None


def _all(parts: Iterator[Premise | None]) -> Premise | None:
    whole = Premise()
    for part in parts:
        if part is None:
            return None
        whole = whole.and_(part)
    return whole
