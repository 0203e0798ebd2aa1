"""Sample rows for every table of a database, made from its catalog."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg import Connection

from pgyoyo.catalog import rows
from pgyoyo.catalog.facts import Whole
from pgyoyo.catalog.rows import TableRows
from pgyoyo.scratch.known_rows import KnownRows
from pgyoyo.scratch.row_maker import EDGES, MOST, RowMaker

CROWDED = 3 * MOST  # rows of a table that are no longer few


class Facts(Protocol):
    """Knows the database as it is now; what each gives is described at catalog.facts.Whole."""

    def tables(self) -> list[dict[str, Any]]:
        """Its tables."""

    def types(self, oids: Iterable[str], /) -> Mapping[str, Mapping[str, Any]]:
        """The types with these OIDs."""

    def rows(self, tables: Sequence[Mapping[str, Any]], /) -> dict[str, TableRows]:
        """What these tables hold."""

    def wrote(self) -> None:
        """Rows have been written, which may have made more by code."""


class Filled(NamedTuple):
    """What came of filling: the number of new rows, what stays empty and why, and what the tables hold now."""

    made: int
    notes: list[str]
    held: dict[str, TableRows]
    tables: list[dict[str, Any]]


def fill(
    conn: Connection, tried: dict[str, str], *, sparse: bool = False, only_empty: bool = False, edges: int = EDGES,
    known: dict[str, KnownRows] | None = None, facts: Facts | None = None,
    held: Mapping[str, TableRows] | None = None,
) -> Filled:  # fmt: skip
    """Make rows in every table that has none, and, unless `only_empty`, values in every column that has none.

    `tried` remembers the tables that refused, as they were then, so that the same one is not tried in vain again; `known`
    the rows that tables took, which are tried at once where a copy of the database is filled. `facts` knows what is read of
    the database, else all is read on the session itself; `held` is what its tables hold, where it has just been read.
    `sparse` gives rows as few values as they may have, `edges` is how far from everyday values they go.
    """
    known = {} if known is None else known
    facts = facts or Whole(conn)
    listed = facts.tables()
    tables = {table["name"]: table for table in listed}
    held = dict(facts.rows(listed) if held is None else held)
    wanted = {
        name: columns
        for name in _in_order(tables)
        if tried.get(name) != _text(tables[name])
        and (columns := _lacking(tables[name], held[name])) is not None
        and not (only_empty and columns)
    }
    if not wanted:
        return Filled(0, [], held, listed)
    maker = _maker(conn, listed, facts, edges)
    errors: dict[str, psycopg.Error] = {}
    count = 0
    with conn.transaction():
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name, columns in wanted.items():
            key = _key(tables[name], edges, sparse=sparse) if not columns else None
            if key and key in known and maker.write_known(tables[name], known[key]):
                count += len(known[key].rows)
                continue
            maker.taken = KnownRows()
            last = maker.rows_for(tables[name], columns)
            if columns:
                last = min(last, held[name].count)
            # The row of nulls comes early, since values at the edges may leave no room for it: an old row has them in its
            # new columns already, and a table's only row gets values.
            for n in [1, last, *range(2, last)][: max(last, 1)]:
                nulls = n == (last if last > 1 or not columns else 0) or sparse
                if not (nulls and columns) and (nulls or name not in errors):
                    error = maker.write(tables[name], columns, n, nulls=nulls)
                    count += error is None and not columns
                    if error:
                        errors[name] = error
            if key and name not in errors and maker.taken.columns:
                known[key] = maker.taken
    facts.wrote()
    held, notes = facts.rows(listed), []
    for name in wanted:
        columns = _lacking(tables[name], held[name])
        refusals = (maker.refused.get((name, column)) for column in columns or ())
        error = errors.get(name) or next(filter(None, refusals), None)
        if error and columns is not None:
            tried[name] = _text(tables[name])
            what = f"values in {name}.{', '.join(columns)}" if columns else f"sample rows in {name}"
            reason = None if columns else _without_parents(tables[name], held)
            notes.append(f"no {what}: {reason or error.diag.message_primary or error}")
    return Filled(count, notes, held, listed)


def now(facts: Facts) -> Filled:
    """What the tables hold as they are."""
    tables = facts.tables()
    return Filled(0, [], facts.rows(tables), tables)


def write_more(
    conn: Connection,
    tables: Sequence[Mapping[str, Any]],
    names: Collection[str],
    *,
    edges: int,
    facts: Facts | None = None,
) -> int:
    """Put more rows into the named tables, as an application may: each kind of value, nulls, and one like a row there.

    The number of rows that were not refused.
    """
    by_name = {table["name"]: table for table in tables}
    facts = facts or Whole(conn)
    maker = _maker(conn, tables, facts, edges)
    count = 0
    with conn.transaction():
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name in (name for name in _in_order(by_name) if name in names):
            table = by_name[name]
            count += maker.write(table, (), 1, nulls=False, like=maker.first_row(table)) is None
            last = maker.rows_for(table, ())
            count += sum(maker.write(table, (), n, nulls=n == last) is None for n in range(1, last + 1))
    facts.wrote()
    return count


def thin_out(conn: Connection, held: Mapping[str, TableRows]) -> bool:
    """Leave only the first rows in tables that have many by now, as far as others don't need them."""
    crowded = [name for name, table in held.items() if CROWDED < table.count <= rows.DETAILED]
    for name in crowded:
        surplus = f"SELECT tableoid, ctid FROM {name} ORDER BY tableoid, ctid OFFSET {MOST}"  # noqa: S608 - quoted
        same = " AND ".join(f"kept.{column} OPERATOR(pg_catalog.=) surplus.{column}" for column in ("tableoid", "ctid"))
        with suppress(psycopg.Error):
            conn.execute(f"DELETE FROM {name} AS kept USING ({surplus}) AS surplus WHERE {same}".encode())  # noqa: S608 - quoted
    return bool(crowded)


def _lacking(table: Mapping[str, Any], held: TableRows) -> list[str] | None:
    """The columns without a value in any row; none where there is no row, None where nothing is lacking."""
    if not held.count:
        return []
    names = [column["name"] for column in table["columns"]] if held.count <= rows.DETAILED else []
    return [name for name in names if all(row[name] == "null" for row in held.rows)] or None


def _without_parents(table: Mapping[str, Any], held: Mapping[str, TableRows]) -> str | None:
    """That a table which every row of this one has to point to is empty, where that is so."""
    targets = (link["target"] for link in table["links"] if link["target"] in _required(table) - {table["name"]})
    target = next((target for target in targets if target in held and not held[target].count), None)
    return f"{target}, which it references, has none" if target else None


def _key(table: Mapping[str, Any], edges: int, *, sparse: bool) -> str | None:
    """What decides which rows an empty table takes; None: more than can be known, such as its own rows or triggers."""
    if table["code"] is None or any(link["target"] == table["name"] for link in table["links"]):
        return None
    return f"{_text(table)} {edges} {sparse}"


def _text(table: Mapping[str, Any]) -> str:
    """All that is known of a table."""
    return f"{table['text']} {table['code']}"


def _maker(conn: Connection, tables: Sequence[Mapping[str, Any]], facts: Facts, edges: int) -> RowMaker:
    types = {column["type"] for table in tables for column in table["columns"]}
    return RowMaker(conn, edges, lambda: facts.types(types))


def _in_order(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The tables, each behind those that its foreign keys point to.

    A circle is broken where a key may be null, or else somewhere.
    """
    listed: dict[str, None] = {}
    open_: set[str] = set()
    required = {name: _required(table) & tables.keys() for name, table in tables.items()}

    def waits(name: str) -> bool:
        """Whether a table needs rows of one that is on the way, directly or by others."""
        seen, ahead = {name}, [name]
        while ahead:
            for target in required[ahead.pop()] - seen:
                if target in open_ and target not in listed:
                    return True
                seen.add(target)
                ahead.append(target)
        return False

    def visit(name: str) -> None:
        open_.add(name)
        links = [link["target"] for link in tables[name]["links"]]
        for target in sorted(dict.fromkeys(links), key=lambda target: target not in required[name]):
            if target in tables and target not in open_ and (target in required[name] or not waits(target)):
                visit(target)
        listed[name] = None

    for name in tables:
        if name not in open_:
            visit(name)
    return list(listed)


def _required(table: Mapping[str, Any]) -> set[str]:
    """The tables that every row of this one has to point to."""
    needed = {column["name"] for column in table["columns"] if not column["nullable"]}
    return {link["target"] for link in table["links"] if needed.issuperset(link["columns"])}
