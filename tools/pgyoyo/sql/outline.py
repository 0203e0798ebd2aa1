"""What tells statements apart before they are parsed: a log holds the same one a million times, with other values."""

from itertools import pairwise

from postgast import pg_query_pb2 as pb

from pgyoyo.sql import tree

_NUMBERS = frozenset((pb.ICONST, pb.FCONST))
# Beside these the text of a value counts: it names something, or has to be equal to another.
_VALUES_COUNT = frozenset((pb.GROUP_P, pb.DISTINCT, pb.CONFLICT, pb.JSON_TABLE, pb.USCONST))
_NAMING = (b"nextval", b"currval", b"setval", b"pg_get_serial", b"to_reg")
_SMALL = 9  # digits of an integer, whatever they are


def outline(text: str) -> tuple[object, ...]:
    """Equal for texts of which one can stand for all, but for their values; raises PgQueryError where the text is cut off."""
    tokens = tree.tokens(text)
    data = text.encode()
    kinds = [token.token for token in tokens]
    lower = data.lower()
    if not _VALUES_COUNT.isdisjoint(kinds) or any(name in lower for name in _NAMING) or b"reg" in lower:
        return (text,)
    places = any(kind == pb.BY and after in _NUMBERS for kind, after in pairwise(kinds))
    return tuple(
        kind
        if kind == pb.SCONST or (kind in _NUMBERS and not places and token.end - token.start <= _SMALL)
        else data[token.start : token.end]
        for kind, token in zip(kinds, tokens, strict=True)
    )
