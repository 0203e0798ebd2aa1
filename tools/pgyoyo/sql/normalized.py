"""A statement as it may be kept in git: no comments, and parameters in place of the literals that were left in it."""

import postgast
from postgast import PgQueryError
from postgast import pg_query_pb2 as pb

_COMMENTS = frozenset((pb.SQL_COMMENT, pb.C_COMMENT))
# Directly before a parameter they are the type of a literal, as in: date '2026-01-01'.
_TYPES = frozenset((pb.IDENT, pb.INTERVAL, pb.TIMESTAMP, pb.TIME))


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
        before = tokens[place - 1]
        if before.token in _TYPES:
            changes.append((before.start, token.end, b"CAST(%b AS %b)" % (words[place], words[place - 1])))
        elif place > 1 and words[place - 1] == b"(" and words[place - 2].lower() == b"extract":
            after = tokens[place + 1] if place + 1 < len(tokens) else None
            if after and after.token == pb.FROM:
                start = tokens[place - 2].start
                changes.append((start, after.end, b"pg_catalog.extract(%b," % words[place]))
    for start, end, new in reversed(changes):
        data = data[:start] + new + data[end:]
    return data.decode()


__all__ = ["PgQueryError", "without_comments", "without_literals"]
