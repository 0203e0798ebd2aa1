"""What the tables of a database hold, and what became of it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from pgyoyo.catalog.snapshot import SETTINGS
from pgyoyo.queries import named

DETAILED = 1000  # rows of a table that are compared one by one; of a bigger one only the hash
_TABLES_AT_ONCE = 200
_TABLES = Path(__file__).with_name("tables.sql")


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds: the number of its rows, their hash, and, of a small one, their values as JSON by column."""

    count: int
    digest: str | None
    key: tuple[str, ...]
    rows: list[dict[str, str]]


def rows(conn: Connection, tables: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Held]:
    """What every table holds, by its quoted name; in a transaction of its own that writes nothing."""
    with conn.transaction():
        _settle(conn)
        tables = catalog_rows(conn, "tables") if tables is None else tables
        found: dict[str, Held] = {}
        for start in range(0, len(tables), _TABLES_AT_ONCE):
            part = tables[start : start + _TABLES_AT_ONCE]
            texts: list[list[str]] = [[] for _ in part]
            query = " UNION ALL ".join(map(_rows_query, range(len(part)), part))
            for i, text in conn.execute(query.encode()):
                texts[i].append(text)
            for table, some in zip(part, texts, strict=True):
                found[table["name"]] = _held(table, some) if len(some) <= DETAILED else _hashed(conn, table)
    return found


def _source(table: Mapping[str, Any]) -> str:
    return f"{'' if table['partitioned'] else 'ONLY '}{table['name']} AS pgyoyo_row"


def _rows_query(i: int, table: Mapping[str, Any]) -> str:
    """The rows of a table as they are: for a few of each, sorting and hashing on the server would take ten times as long."""
    return f"(SELECT {i}, row_to_json(pgyoyo_row)::text FROM {_source(table)} LIMIT {DETAILED + 1})"  # noqa: S608 - quoted by the server


def _held(table: Mapping[str, Any], texts: Sequence[str]) -> Held:
    """What a small table holds."""
    hashes = sorted((_md5(text), text) for text in texts)
    digest = _md5("".join(one for one, _ in hashes)) if hashes else None
    values = [{k: json.dumps(v) for k, v in _exact(text).items()} for _, text in hashes]
    return Held(len(hashes), digest, tuple(table["key"]), values)


def _hashed(conn: Connection, table: Mapping[str, Any]) -> Held:
    """What a big one holds: the same hash, made by the server."""
    query = (
        "SELECT count(*), md5(string_agg(h, '' ORDER BY h)) FROM "  # noqa: S608 - quoted by the server
        f"(SELECT md5(row_to_json(pgyoyo_row)::text) AS h FROM {_source(table)}) AS t"
    )
    row = conn.execute(query.encode()).fetchone()
    assert row
    return Held(row[0], row[1], tuple(table["key"]), [])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def difference(before: Mapping[str, Held], after: Mapping[str, Held], *, added: bool = True) -> list[str]:
    """What became of the rows of before, a line for each column or table; `added`: also what came new.

    Columns that only `after` has do not count.
    """
    lines = []
    for name, old in before.items():
        new = after.get(name, Held(0, None, (), []))
        if (old.count, old.digest) == (new.count, new.digest):
            continue
        if max(old.count, new.count) > DETAILED:
            lines.append(f"rows: {name}: changed ({old.count} before, {new.count} after)")
            continue
        gone = more = 0
        columns: Counter[str] = Counter()
        for one, other in _pairs(old, new):
            gone, more = gone + (other is None), more + (one is None)
            if one and other:
                columns.update(column for column, value in one.items() if other.get(column, "null") != value)
        lines += [f"rows: {name}.{column}: {n} of {old.count} rows changed" for column, n in columns.items()]
        lines += [f"rows: {name}: {gone} of {old.count} rows gone"] * bool(gone)
        lines += [f"rows: {name}: {more} rows more than before"] * bool(more and added)
    return lines


def _pairs(old: Held, new: Held) -> Iterator[tuple[dict[str, str] | None, dict[str, str] | None]]:
    """Each row with what became of it: the row of the same key, or, without a key, the nearest thing."""
    if old.key and old.key == new.key:
        first, then = ({tuple(row[column] for column in old.key): row for row in held.rows} for held in (old, new))
        yield from ((first.get(key), then.get(key)) for key in dict.fromkeys([*first, *then]))
        return
    names = list(old.rows[0]) if old.rows else []
    texts = [Counter(tuple(row.get(name, "null") for name in names) for row in held.rows) for held in (old, new)]
    lost, came = (sorted((a - b).elements()) for a, b in (texts, texts[::-1]))
    for left, right in zip_longest(lost, came):
        one, other = (None if row is None else dict(zip(names, row, strict=True)) for row in (left, right))
        yield one, other


def _settle(conn: Connection) -> None:
    each = "SELECT pg_catalog.set_config(key, value, true) FROM pg_catalog.jsonb_each_text(%s::pg_catalog.jsonb)"
    conn.execute(each, [json.dumps(SETTINGS)])


def _exact(text: str) -> dict[str, Any]:
    """A row; numbers stay as they are written, since 1.0 and 1.00 are two values."""
    found: dict[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return found


def catalog_rows(conn: Connection, name: str) -> list[dict[str, Any]]:
    """What a query of tables.sql gives: the tables, or the types."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(named(_TABLES)[name].encode()).fetchall()
