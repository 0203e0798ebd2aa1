"""Sample rows for every table of a database, made from its catalog."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from pgyoyo.catalog import rows
from pgyoyo.catalog.rows import TableRows
from pgyoyo.scratch.sample_values import choices_of, listed_texts, rotated, values_of

EDGES = 3  # rows with values at the edges of their types, after the first one
ROWS = EDGES + 2  # that a table has at least, the last one of nulls
MOST = 12  # that it has where a check or an enum lists values
CROWDED = 3 * MOST  # rows of a table that are no longer few
TRIES = 300  # that one row is worth, until its constraints are content


class Filled(NamedTuple):
    """What came of filling: the number of new rows, what stays empty and why, and what the tables hold now."""

    made: int
    notes: list[str]
    held: dict[str, TableRows]
    tables: list[dict[str, Any]]


class _Slot(NamedTuple):
    """Columns that get their values together, and the values to choose from."""

    columns: tuple[str, ...]
    choices: list[tuple[str | None, ...]]


def fill(
    conn: Connection, tried: dict[str, str], *, sparse: bool = False, only_empty: bool = False, edges: int = EDGES
) -> Filled:
    """Make rows in every table that has none, and, unless `only_empty`, values in every column that has none.

    `tried` remembers the tables that refused, as they were then, so that the same one is not tried in vain again.
    `sparse` gives rows as few values as they may have, `edges` is how far from everyday values they go.
    """
    tables = {table["name"]: table for table in rows.catalog_rows(conn, "tables")}
    held = rows.rows(conn, list(tables.values()))
    wanted = {
        name: columns
        for name in _in_order(tables)
        if tried.get(name) != repr(tables[name])
        and (columns := _lacking(tables[name], held[name])) is not None
        and not (only_empty and columns)
    }
    if not wanted:
        return Filled(0, [], held, list(tables.values()))
    maker = _Maker(conn, {row["oid"]: row for row in rows.catalog_rows(conn, "types")}, edges)
    errors: dict[str, psycopg.Error] = {}
    count = 0
    with conn.transaction():
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name, columns in wanted.items():
            last = maker.rows_for(tables[name], columns)
            if columns:
                last = min(last, held[name].count)
            # The row of nulls comes early, since values at the edges may leave no room for it: an old row has them in its
            # new columns already.
            for n in [1, last, *range(2, last)][: max(last, 1)]:
                nulls = n == last or sparse
                if not (nulls and columns) and (nulls or name not in errors):
                    error = maker.write(tables[name], columns, n, nulls=nulls)
                    count += error is None and not columns
                    if error:
                        errors[name] = error
    held, notes = rows.rows(conn, list(tables.values())), []
    for name, error in errors.items():
        columns = _lacking(tables[name], held[name])
        if columns is not None:
            tried[name] = repr(tables[name])
            what = f"values in {name}.{', '.join(columns)}" if columns else f"sample rows in {name}"
            notes.append(f"no {what}: {error.diag.message_primary or error}")
    return Filled(count, notes, held, list(tables.values()))


def now(conn: Connection) -> Filled:
    """What the tables hold as they are."""
    tables = rows.catalog_rows(conn, "tables")
    return Filled(0, [], rows.rows(conn, tables), tables)


def write_more(conn: Connection, tables: Sequence[Mapping[str, Any]], names: Collection[str], *, edges: int) -> int:
    """Put more rows into the named tables, as an application may: each kind of value, nulls, and one like a row there.

    The number of rows that were not refused.
    """
    by_name = {table["name"]: table for table in tables}
    maker = _Maker(conn, {row["oid"]: row for row in rows.catalog_rows(conn, "types")}, edges)
    count = 0
    with conn.transaction():
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name in (name for name in _in_order(by_name) if name in names):
            table = by_name[name]
            count += maker.write(table, (), 1, nulls=False, like=maker.first_row(table)) is None
            last = maker.rows_for(table, ())
            count += sum(maker.write(table, (), n, nulls=n == last) is None for n in range(1, last + 1))
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


class _Maker:
    """Writes rows, one at a time; a refused one is tried again with other values in the columns that were refused."""

    def __init__(self, conn: Connection, types: dict[str, dict[str, Any]], edges: int) -> None:
        self.conn = conn
        self.types = types
        self.edges = edges

    def rows_for(self, table: Mapping[str, Any], only: Sequence[str]) -> int:
        """How many rows show each value that an enum or a check lists."""
        columns = [column for column in table["columns"] if not only or column["name"] in only]
        listed = [
            max(
                choices_of(self.types, column["type"]),
                *(len(listed_texts(rule["text"])) for rule in table["rules"] if column["name"] in rule["columns"]),
                0,
            )
            for column in columns
        ]
        return max(ROWS, min(max(listed, default=0) + 1, MOST))

    def first_row(self, table: Mapping[str, Any]) -> dict[str, str | None]:
        """The texts of a row that is there."""
        names = [column["name"] for column in table["columns"]]
        texts = ", ".join(f"{_name(name)}::pg_catalog.text" for name in names)
        row = self.conn.execute(f"SELECT {texts} FROM {table['name']} LIMIT 1".encode()).fetchone()  # noqa: S608 - quoted
        return dict(zip(names, row or (), strict=False))

    def write(
        self, table: Mapping[str, Any], only: Sequence[str], n: int, *, nulls: bool,
        like: Mapping[str, str | None] | None = None,
    ) -> psycopg.Error | None:  # fmt: skip
        """Insert the n-th row, or give a row that has none values in `only` these columns; the last refusal.

        A row `like` another one has its values, as far as it may.
        """
        slots = self._slots(table, only, n, nulls=nulls)
        for slot in slots if like else ():
            slot.choices.insert(0, tuple((like or {}).get(name) for name in slot.columns))
        names = list(dict.fromkeys(name for slot in slots for name in slot.columns))
        query = _insert(table, names) if not only else _update(table, names)
        place = [0] * len(slots)
        tries: Counter[str] = Counter()
        while True:
            chosen = [zip(slot.columns, slot.choices[at], strict=True) for slot, at in zip(slots, place, strict=True)]
            values = dict(pair for pairs in chosen for pair in pairs)
            error = self._attempt(query, [values[name] for name in names])
            if error is None:
                return None
            if (error.diag.datatype_name or (error.sqlstate or "")[:2] in ("22", "0A")) and not tries["values"]:
                tries["values"] += 1
                self._keep_castable(table, slots)
                place = [0] * len(slots)
                continue
            # Go to the next combination of what is blamed, or, where nobody is, to everybody's next.
            blamed = self._blamed(table, error) & set(names)
            turning = [i for i, slot in enumerate(slots) if blamed & set(slot.columns)]
            tries[repr(turning)] += 1
            if tries[repr(turning)] >= prod(len(slots[i].choices) for i in turning or range(len(slots))):
                return error
            if tries.total() > TRIES:
                return error
            for i in turning or range(len(slots)):
                place[i] = (place[i] + 1) % len(slots[i].choices)
                if turning and place[i]:
                    break

    def _attempt(self, query: str, values: Sequence[str | None]) -> psycopg.Error | None:
        try:
            with self.conn.transaction():
                self.conn.execute(query.encode(), values)
        except psycopg.Error as error:
            return error
        return None

    def _keep_castable(self, table: Mapping[str, Any], slots: Sequence[_Slot]) -> None:
        """Leave out what the types don't take: the error doesn't tell which column's value was none."""
        types = {column["name"]: column["sql"].replace("%", "%%") for column in table["columns"]}
        for slot in slots:
            if len(slot.columns) == 1:
                query = f"SELECT CAST(%s AS {types[slot.columns[0]]})"
                good = [value for value in slot.choices if self._attempt(query, value) is None]
                slot.choices[:] = good or slot.choices

    def _blamed(self, table: Mapping[str, Any], error: psycopg.Error) -> set[str]:
        if error.diag.column_name:
            return {error.diag.column_name}
        rules = [rule for rule in table["rules"] if rule["name"] == error.diag.constraint_name]
        return {name for rule in rules for name in rule["columns"]}

    def _slots(self, table: Mapping[str, Any], only: Sequence[str], n: int, *, nulls: bool) -> list[_Slot]:
        """What each column can be given in the n-th row; `nulls`: nothing rather than something."""
        columns = {column["name"]: column for column in table["columns"] if not only or column["name"] in only}
        slots: list[_Slot] = []
        taken: set[str] = set()
        for link in table["links"]:
            if columns.keys() >= set(link["columns"]) and not taken & set(link["columns"]):
                taken |= set(link["columns"])
                slots.append(_Slot(tuple(link["columns"]), rotated(self._keys(link), n)))
        for name, column in columns.items():
            if name not in taken:
                hints = " ".join(rule["text"] for rule in table["rules"] if name in rule["columns"])
                edge = n - 1 if 1 < n <= self.edges + 1 else 0
                values = values_of(self.types, column["type"], column["typmod"], n, hints, edge=edge)
                slots.append(_Slot((name,), [(value,) for value in dict.fromkeys(values)]))
        for slot in slots:
            if not slot.choices or all(columns[name]["nullable"] for name in slot.columns):
                slot.choices.insert(0 if nulls else len(slot.choices), (None,) * len(slot.columns))
        return slots

    def _keys(self, link: Mapping[str, Any]) -> list[tuple[str | None, ...]]:
        """Rows that a foreign key can point to."""
        names = ", ".join(_name(name) for name in link["targets"])
        texts = ", ".join(f"{_name(name)}::pg_catalog.text" for name in link["targets"])
        query = f"SELECT {texts} FROM {link['target']} WHERE ({names}) IS NOT NULL ORDER BY {names} LIMIT 20"  # noqa: S608
        return self.conn.execute(query.encode()).fetchall()


def _insert(table: Mapping[str, Any], names: Sequence[str]) -> str:
    into = f"INSERT INTO {table['name']}".replace("%", "%%")
    columns = ", ".join(map(_name, names)).replace("%", "%%")
    return f"{into} ({columns}) VALUES ({', '.join(['%s'] * len(names))})" if names else f"{into} DEFAULT VALUES"


def _update(table: Mapping[str, Any], names: Sequence[str]) -> str:
    name = table["name"].replace("%", "%%")
    columns = [_name(column).replace("%", "%%") for column in names]
    values, empty = (
        word.join(f"{column} {what}" for column in columns) for word, what in ((", ", "= %s"), (" AND ", "IS NULL"))
    )
    first = f"SELECT tableoid, ctid FROM {name} WHERE {empty} ORDER BY tableoid, ctid LIMIT 1"  # noqa: S608 - quoted
    return f"UPDATE {name} SET {values} WHERE (tableoid, ctid) OPERATOR(pg_catalog.=) ({first})"  # noqa: S608 - quoted


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _in_order(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The tables, each behind those that its foreign keys point to; a circle is broken somewhere."""
    listed: dict[str, None] = {}
    open_: set[str] = set()

    def visit(name: str) -> None:
        if name in tables and name not in open_:
            open_.add(name)
            for link in tables[name]["links"]:
                visit(link["target"])
            listed[name] = None

    for name in tables:
        visit(name)
    return list(listed)
