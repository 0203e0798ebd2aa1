"""A statement as it may be kept in git: no comments, and parameters in place of the literals that were left in it."""

import postgast
from postgast import PgQueryError
from postgast import pg_query_pb2 as pb

_COMMENTS = frozenset((pb.SQL_COMMENT, pb.C_COMMENT))
# Directly before a parameter they are the type of a literal, as in: date '2026-01-01'.
_TYPES = frozenset((
    pb.IDENT, pb.INTERVAL, pb.TIMESTAMP, pb.TIME, pb.NUMERIC, pb.DECIMAL_P, pb.DEC, pb.INT_P, pb.INTEGER, pb.BIGINT,
    pb.SMALLINT, pb.REAL, pb.FLOAT_P, pb.BOOLEAN_P, pb.JSON, pb.CHARACTER, pb.CHAR_P, pb.VARCHAR, pb.BIT,
))  # fmt: skip
# Types of several words, by their number; not the end of: AT TIME ZONE $1.
_LONG_TYPES = {
    b"double precision": 2,
    b"timestamp with time zone": 4,
    b"timestamp without time zone": 4,
    b"time with time zone": 4,
    b"time without time zone": 4,
}


def without_comments(text: str) -> str:
    """The statement without its comments, those that stand for the rest of a list included; raises PgQueryError."""
    data = text.encode()
    spans = [(token.start, token.end) for token in postgast.scan(text).tokens if token.token in _COMMENTS]
    for start, end in reversed(spans):
        # A comment parts words as a blank does.
        before, after = data[:start].rstrip(b" \t"), data[end:]
        data = before + (b"" if after[:1] in b"),;\r\n \t" else b" ") + after
    lines = (line.rstrip() for line in data.decode().strip().splitlines())
    return "\n".join(line for line in lines if line) if spans else text.strip()


def without_literals(text: str) -> str:
    """The statement with a parameter in place of each literal, written so that a server can prepare it.

    pg_stat_statements writes `interval $1` and `extract($1 FROM x)`, which no server takes. Raises PgQueryError.
    """
    return _preparable(postgast.normalize(text))


def _preparable(text: str) -> str:
    data, tokens = text.encode(), list(postgast.scan(text).tokens)
    words = [data[token.start : token.end] for token in tokens]
    changes: list[tuple[int, int, bytes]] = []
    for place, token in enumerate(tokens):
        if token.token != pb.PARAM or not place:
            continue
        size = int(tokens[place - 1].token in _TYPES) or _long_type(words[:place])
        if size:
            kind = b" ".join(words[place - size : place])
            changes.append((tokens[place - size].start, token.end, b"CAST(%b AS %b)" % (words[place], kind)))
        elif place > 1 and words[place - 1] == b"(" and words[place - 2].lower() == b"extract":
            after = tokens[place + 1] if place + 1 < len(tokens) else None
            if after and after.token == pb.FROM:
                start = tokens[place - 2].start
                changes.append((start, after.end, b"pg_catalog.extract(%b," % words[place]))
    for start, end, new in reversed(changes):
        data = data[:start] + new + data[end:]
    return data.decode()


def _long_type(words: list[bytes]) -> int:
    """How many of the last words are one type, 0 for none."""
    return next((size for kind, size in _LONG_TYPES.items() if b" ".join(words[-size:]).lower() == kind), 0)


__all__ = ["PgQueryError", "without_comments", "without_literals"]
