"""The rows of a database's tables, and the difference of two readings."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from pgyoyo.catalog.snapshot import SETTINGS
from pgyoyo.queries import named

DETAILED = 1000  # a table with more rows is compared by its hash only
_TABLES_AT_ONCE = 200
_TABLES = Path(__file__).with_name("tables.sql")


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of a table: how many, their hash, and, in a small table, their values as JSON by column."""

    count: int
    digest: str | None
    key: tuple[str, ...]
    rows: list[dict[str, str]]


# The rows of a table as the server printed them, and what was made of them.
Kept = tuple[list[str], TableRows]


def rows(
    conn: Connection, tables: Sequence[Mapping[str, Any]] | None = None, kept: dict[str, Kept] | None = None,
    *, hashed: bool = True,
) -> dict[str, TableRows]:  # fmt: skip
    """The rows of every table, or of these, by its quoted name, read in one transaction that writes nothing.

    `kept` remembers what was read last of each, since most of them are the same the next time. Without `hashed`, a table with
    more than DETAILED rows is neither counted nor hashed.
    """
    kept = {} if kept is None else kept
    with settled(conn):
        tables = in_order(table_facts(conn), code(conn)) if tables is None else tables
        contents: dict[str, TableRows] = {}
        for start in range(0, len(tables), _TABLES_AT_ONCE):
            part = tables[start : start + _TABLES_AT_ONCE]
            texts: list[list[str]] = [[] for _ in part]
            query = " UNION ALL ".join(map(_rows_query, range(len(part)), part))
            for i, text in conn.execute(query.encode(), prepare=False):
                texts[i].append(text)
            for table, some in zip(part, texts, strict=True):
                name, key = table["name"], tuple(table["key"])
                if len(some) > DETAILED:
                    contents[name] = _hashed(conn, table) if hashed else TableRows(len(some), None, key, [])
                    continue
                if name not in kept or kept[name][0] != some or kept[name][1].key != key:
                    kept[name] = some, _detailed(key, some)
                contents[name] = kept[name][1]
    return contents


def _source(table: Mapping[str, Any]) -> str:
    return f"{'' if table['partitioned'] else 'ONLY '}{table['name']} AS pgyoyo_row"


def _rows_query(i: int, table: Mapping[str, Any]) -> str:
    """The query for a table's rows, unsorted: to sort and hash few rows on the server takes ten times as long."""
    return (
        f"(SELECT {i}, pg_catalog.row_to_json(pgyoyo_row)::pg_catalog.text FROM {_source(table)} LIMIT {DETAILED + 1})"  # noqa: S608 - quoted by the server
    )


def _detailed(key: tuple[str, ...], texts: Sequence[str]) -> TableRows:
    hashes = sorted((_md5(text), text) for text in texts)
    digest = _md5("".join(value for value, _ in hashes)) if hashes else None
    values = [{k: json.dumps(v) for k, v in _exact(text).items()} for _, text in hashes]
    return TableRows(len(hashes), digest, key, values)


def _hashed(conn: Connection, table: Mapping[str, Any]) -> TableRows:
    """The rows of a big table: the same hash, computed by the server."""
    query = (
        "SELECT count(*), md5(string_agg(h, '' ORDER BY h)) FROM "  # noqa: S608 - quoted by the server
        f"(SELECT md5(pg_catalog.row_to_json(pgyoyo_row)::pg_catalog.text) AS h FROM {_source(table)}) AS t"
    )
    row = conn.execute(query.encode(), prepare=False).fetchone()
    assert row
    return TableRows(row[0], row[1], tuple(table["key"]), [])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def difference(before: Mapping[str, TableRows], after: Mapping[str, TableRows], *, added: bool = True) -> list[str]:
    """What changed in the rows of `before`, a line for each column or table; `added`: rows that are new too.

    Columns that only `after` has do not count.
    """
    lines = []
    for name, old in before.items():
        new = after.get(name, TableRows(0, None, (), []))
        if (old.count, old.digest) == (new.count, new.digest):
            continue
        if max(old.count, new.count) > DETAILED:
            lines.append(f"rows: {name}: changed ({old.count} before, {new.count} after)")
            continue
        columns, gone, more = _counted(old, new)
        lines += [f"rows: {name}.{column}: {n} of {old.count} rows changed" for column, n in columns.items()]
        lines += [f"rows: {name}: {gone} of {old.count} rows gone"] * bool(gone)
        lines += [f"rows: {name}: {more} rows more than before"] * bool(more and added)
    return lines


def lost(before: Mapping[str, TableRows], after: Mapping[str, TableRows]) -> dict[tuple[str, str | None], int]:
    """How many rows of `before` are gone, by (table, None), or have another value or none, by (table, column)."""
    counts: dict[tuple[str, str | None], int] = {}
    for name, old in before.items():
        new = after.get(name, TableRows(0, None, (), []))
        if (old.count, old.digest) != (new.count, new.digest) and max(old.count, new.count) <= DETAILED:
            columns, gone, _ = _counted(old, new)
            counts |= {(name, column): count for column, count in columns.items()}
            counts |= {(name, None): gone} if gone else {}
    return counts


def _counted(old: TableRows, new: TableRows) -> tuple[Counter[str], int, int]:
    """Changed values by column, rows that are gone, and new ones."""
    gone = more = 0
    columns: Counter[str] = Counter()
    for earlier, later in _pairs(old, new):
        gone, more = gone + (later is None), more + (earlier is None)
        if earlier and later:
            columns.update(column for column, value in earlier.items() if later.get(column, "null") != value)
    return columns, gone, more


def _pairs(old: TableRows, new: TableRows) -> Iterator[tuple[dict[str, str] | None, dict[str, str] | None]]:
    """Each row before and after: the row of the same key, or, without a key, one of the changed rows."""
    if old.key and old.key == new.key:
        first, then = ({tuple(row[column] for column in old.key): row for row in table.rows} for table in (old, new))
        yield from ((first.get(key), then.get(key)) for key in dict.fromkeys([*first, *then]))
        return
    names = list(old.rows[0]) if old.rows else []
    texts = [Counter(tuple(row.get(name, "null") for name in names) for row in table.rows) for table in (old, new)]
    lost, came = (sorted((a - b).elements()) for a, b in (texts, texts[::-1]))
    for left, right in zip_longest(lost, came):
        earlier, later = (None if row is None else dict(zip(names, row, strict=True)) for row in (left, right))
        yield earlier, later


@contextmanager
def settled(conn: Connection) -> Iterator[None]:
    """For reading: the server prints values in one way, and looks up names in pg_catalog only; nothing of it is left.

    It is rolled back, since a savepoint that is released would leave its settings to the transaction around it.
    """
    each = "SELECT pg_catalog.set_config(key, value, true) FROM pg_catalog.jsonb_each_text(%s::pg_catalog.jsonb)"
    with _kept_plans(conn) if conn.prepare_threshold == 0 else conn.transaction(force_rollback=True):
        conn.execute(each, [json.dumps(SETTINGS)])
        yield


@contextmanager
def _kept_plans(conn: Connection) -> Iterator[None]:
    """A transaction of an idle session that is rolled back past psycopg, which would forget all prepared statements."""
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.pgconn.exec_(b"ROLLBACK")


def _exact(text: str) -> dict[str, Any]:
    """A row by column; numbers stay text, since 1.0 and 1.00 are two values."""
    row: dict[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return row


def every_table(conn: Connection) -> list[dict[str, Any]]:
    """The facts of all tables, by name; read in a transaction that writes nothing."""
    with settled(conn):
        return in_order(table_facts(conn), code(conn))


def types(conn: Connection) -> dict[str, dict[str, Any]]:
    """The types of their columns, and what these are made of, by OID as a text; read in the same way."""
    with settled(conn), conn.cursor(row_factory=dict_row) as cursor:
        return {row["oid"]: row for row in cursor.execute(named(_TABLES)["types"].encode())}


def table_facts(conn: Connection, oids: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
    """The facts of tables by OID, and `text`, all of them in words: of all tables, or of those among these relations.

    To be called under `settled`.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        query = named(_TABLES)["tables"].encode()
        listed = cursor.execute(query, {"oids": None if oids is None else list(oids)}).fetchall()
    return {table.pop("oid"): {**table, "text": repr(table)} for table in listed}


def code(conn: Connection) -> int:
    """A number that is another once code has changed which may refuse values or make some; under `settled`."""
    row = conn.execute(named(_TABLES)["code"].encode()).fetchone()
    assert row
    return int(row[0])


def in_order(facts: Mapping[int, Mapping[str, Any]], code: int) -> list[dict[str, Any]]:
    """The tables by name, each with the `code` that its rows depend on, or None where they depend on more than that."""
    listed = sorted(facts.values(), key=lambda table: str(table["name"]))
    return [{**table, "code": code if table["plain"] else None} for table in listed]
