"""Whether an expression that is no constant can be NULL."""

from collections.abc import Collection
from dataclasses import dataclass

from postgast.pg_query_pb2 import AEXPR_OP

from pgyoyo.sql import tree

# Functions that give a value in any case, and those that do so if all their arguments have one.
_ALWAYS = frozenset((
    "clock_timestamp", "count", "gen_random_uuid", "nextval", "now", "random", "row_number", "statement_timestamp",
    "transaction_timestamp", "uuid_generate_v4", "uuidv4", "uuidv7",
))  # fmt: skip
_STRICT = frozenset(("abs", "btrim", "char_length", "length", "lower", "ltrim", "md5", "round", "rtrim", "upper"))
_OPERATORS = frozenset(("+", "-", "*", "/", "%", "||"))


@dataclass(frozen=True, slots=True)
class Present:
    """A value that is not NULL where these columns of the row are not."""

    columns: frozenset[str] = frozenset()


def present(expression: tree.Node, own: Collection[tuple[str, ...]] = ()) -> Present | None:
    """What the expression depends on for a value, None where it may be NULL; `own` are the qualifiers of the row itself."""
    node = tree.unwrap(expression)
    match tree.kind(node):
        case "A_Const":
            return None if node.isnull else Present()
        case "SQLValueFunction":
            return Present()
        case "TypeCast":
            return present(node.arg, own)
        case "CoalesceExpr":
            return next(filter(None, (present(each, own) for each in node.args)), None)
        case "FuncCall" if tree.name(node) in _ALWAYS:
            return Present()
        case "FuncCall" if tree.name(node) in _STRICT:
            return _together([present(each, own) for each in node.args])
        case "A_Expr" if node.kind == AEXPR_OP and tree.name(node) in _OPERATORS and node.HasField("lexpr"):
            return _together([present(node.lexpr, own), present(node.rexpr, own)])
        case "ColumnRef":
            named = tree.column(node)
            return Present(frozenset((named[1],))) if named and named[0] in own else None
    return None


def _together(parts: list[Present | None]) -> Present | None:
    known = [part for part in parts if part is not None]
    return Present(frozenset().union(*(part.columns for part in known))) if len(known) == len(parts) else None
