"""Values written into a statement, as it can stand in a message of several."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from psycopg import Connection
from psycopg.pq import Escaping

_HOLE = re.compile(r"%(?:%|\((\w+)\)s)")


def write_values(conn: Connection, text: str, params: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    """The statement with its values in place of %(name)s: texts, numbers, lists of numbers.

    psycopg's own writing names types such as int4, which may mean anything in a session's search_path. With `ascii_only` the
    values are the same in every client_encoding.
    """
    escape = Escaping(conn.pgconn).escape_literal
    return _HOLE.sub(lambda hole: _literal(escape, params[hole[1]], ascii_only) if hole[1] else "%", text)


def _literal(escape: Callable[[bytes], bytes], value: Any, ascii_only: bool) -> str:  # noqa: FBT001 - called for each value
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    if not isinstance(value, str):
        return str(value)
    if ascii_only and not value.isascii():
        return f"pg_catalog.convert_from(pg_catalog.decode('{value.encode().hex()}', 'hex'), 'UTF8')"
    return escape(value.encode()).decode()
