"""Whether an UPDATE may be run again on the rows it has updated: its WHERE is false for them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

# Of these, a NULL comes only out of a NULL (pg_proc.proisstrict, and no domain error that gives NULL).
_STRICT = frozenset((
    "abs", "btrim", "ceil", "ceiling", "char_length", "date_trunc", "floor", "length", "lower", "ltrim", "md5",
    "octet_length", "replace", "reverse", "round", "rtrim", "sign", "sqrt", "timezone", "trunc", "upper",
))  # fmt: skip
_NEVER_NULL = frozenset((
    "clock_timestamp", "concat", "concat_ws", "gen_random_uuid", "jsonb_build_array", "jsonb_build_object",
    "json_build_array", "json_build_object", "nextval", "now", "num_nonnulls", "num_nulls", "random",
    "statement_timestamp", "timeofday", "transaction_timestamp", "uuidv4", "uuidv7",
))  # fmt: skip
_ARITHMETIC = frozenset(("+", "-", "*", "/", "%", "||", "=", "<>", "<", ">", "<=", ">="))


@dataclass(frozen=True, slots=True)
class Shown:
    """A condition is false after the UPDATE, given that the `columns` are NOT NULL; not `sure` where a NULL may be set."""

    columns: frozenset[str] = frozenset()
    sure: bool = True

    def both(self, other: "Shown") -> "Shown":
        """What is needed for this and the other."""
        return Shown(self.columns | other.columns, self.sure and other.sure)

    @property
    def rank(self) -> tuple[bool, int]:
        """What needs less comes first."""
        return not self.sure, len(self.columns)


@dataclass(frozen=True, slots=True)
class Rules:
    """Judges conditions of one UPDATE: `names` are those its table goes by, `sets` its columns with their new values."""

    names: frozenset[str]
    sets: Mapping[str, Node]

    def false_after(self, node: Node) -> Shown | None:
        """Whether the condition can be shown to be false (or null) once the row is updated."""
        from postgast import pg_query_pb2 as pb  # noqa: PLC0415 - slow to import, and status does without

        match tree.kind(node):
            case "BoolExpr" if node.boolop == pb.AND_EXPR:
                found = [one for part in node.args if (one := self.false_after(tree.unwrap(part)))]
                return min(found, key=lambda one: one.rank, default=None)
            case "BoolExpr" if node.boolop == pb.OR_EXPR:
                return self._all(self.false_after(tree.unwrap(part)) for part in node.args)
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

    def not_null(self, node: Node) -> Shown | None:
        """Whether a value can be shown not to be NULL; a bare column of the table is trusted on its NOT NULL."""
        from postgast import pg_query_pb2 as pb  # noqa: PLC0415 - as above

        match tree.kind(node):
            case "A_Const":
                return None if node.isnull else Shown()
            case "ColumnRef":
                named = tree.column(node)
                ours = named is not None and (not named[0] or named[0][-1] in self.names)
                return Shown(frozenset((named[1],))) if named and ours else None
            case "TypeCast":
                return self.not_null(tree.unwrap(node.arg))
            case "CoalesceExpr":
                found = [one for part in node.args if (one := self.not_null(tree.unwrap(part)))]
                return min(found, key=lambda one: one.rank, default=None)
            case "SQLValueFunction" | "NullTest" | "BooleanTest":
                return Shown()
            case "FuncCall" if tree.name(node) in _NEVER_NULL:
                return Shown()
            case "FuncCall" if tree.name(node) in _STRICT and node.args:
                return self._all(self.not_null(tree.unwrap(part)) for part in node.args)
            case "A_Expr" if node.kind == pb.AEXPR_OP and tree.name(node) in _ARITHMETIC:
                sides = [tree.unwrap(side) for side in (node.lexpr, node.rexpr)]
                return self._all(self.not_null(side) for side in sides if side is not None)
            case "CaseExpr":
                values = [tree.unwrap(tree.unwrap(arm).result) for arm in node.args] + [tree.unwrap(node.defresult)]
                return self._all(None if value is None else self.not_null(value) for value in values)
        return None

    def target(self, node: Node) -> str | None:
        """The name of a column that the UPDATE sets, where the node is one."""
        named = tree.column(node)
        if named and named[1] in self.sets and (not named[0] or named[0][-1] in self.names):
            return named[1]
        return None

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

    @staticmethod
    def _all(parts: Iterator[Shown | None]) -> Shown | None:
        whole = Shown()
        for part in parts:
            if part is None:
                return None
            whole = whole.both(part)
        return whole

    def _null_test(self, node: Node, *, is_null: bool) -> Shown | None:
        column = self.target(tree.unwrap(node.arg))
        if column is None:
            return None
        value = self.sets[column]
        null = tree.kind(value) == "A_Const" and value.isnull
        if not is_null:
            return Shown() if null else None
        return None if null else self.not_null(value) or Shown(sure=False)

    def _becomes(self, node: Node, *, value: bool) -> Shown | None:
        """The column is set to this very boolean."""
        column = self.target(node)
        return Shown() if column and _boolean(self.sets[column]) is value else None

    def _comparison(self, node: Node) -> Shown | None:
        """c = old, c IN (old, …), c <> new, c IS DISTINCT FROM new, for a column that is set to new."""
        from postgast import pg_query_pb2 as pb  # noqa: PLC0415 - as above

        left, right = node.lexpr, node.rexpr
        if node.kind == pb.AEXPR_IN and tree.name(node) == "=":
            column = self.target(tree.unwrap(node.lexpr))
            others = [tree.unwrap(item) for item in tree.unwrap(node.rexpr).items]
            return Shown() if column and all(_differ(self.sets[column], other) for other in others) else None
        if node.kind not in (pb.AEXPR_OP, pb.AEXPR_DISTINCT):
            return None
        for one, other in ((left, right), (right, left)):
            column, value = self.target(tree.unwrap(one)), tree.unwrap(other)
            if column is None or value is None:
                continue
            new = self.sets[column]
            if node.kind == pb.AEXPR_DISTINCT or tree.name(node) == "<>":
                same = tree.shape(new) == tree.shape(value) and all(map(self._stays, tree.walk(value)))
                return Shown() if same else None
            if tree.name(node) == "=" and _differ(new, value):
                return Shown()
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
    found = _constant(node)
    return found[1] if found and isinstance(found[1], bool) else None


def _differ(new: Node, old: Node) -> bool:
    """Whether two literals of one type, as written, are surely not equal; blanks and case are not trusted to tell."""
    one, other = _constant(new), _constant(old)
    if one is None or other is None or one[0] != other[0]:
        return False
    if isinstance(one[1], str) and isinstance(other[1], str):
        return one[1].strip().casefold() != other[1].strip().casefold()
    return one[1] != other[1]
