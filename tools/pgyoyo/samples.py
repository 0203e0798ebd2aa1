"""Sample rows for every table of a database, made from its catalog, and what became of them."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from math import prod
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from pgyoyo.catalog import SETTINGS
from pgyoyo.queries import named

ROWS = 3
TRIES = 300  # that one row is worth, until its constraints are content
DETAILED = 1000  # rows of a table that are compared one by one; of a bigger one only the hash
_TABLES_AT_ONCE = 200

# What checks of texts are often about: codes, addresses, numbers, colours. a, A and 0 become others from row to row.
_TEXTS = ("A", "AA", "AAA", "a", "aa", "0", "00", "0000", "00000", "a1", "A1", "a@b.example", "https://a.example/", "/a",
          "+46701234567", "#aabbcc", "1999-12-31", "a-b", "00000000-0000-4000-8000-000000000000", "10.0.0.1")  # fmt: skip
_SHAPES = {
    "uuid": "00000000-0000-4000-8000-{:012d}", "json": '{{"n": {}}}', "jsonb": '{{"n": {}}}', "bytea": "\\x{:02x}",
    "xml": "<n>{}</n>", "inet": "10.0.0.{}", "cidr": "10.0.0.{}", "macaddr": "08:00:2b:01:02:{:02x}",
    "macaddr8": "08:00:2b:01:02:03:04:{:02x}", "point": "({0},{0})", "line": "{{1,1,{}}}", "lseg": "[({0},0),(0,{0})]",
    "box": "({0},{0}),(0,0)", "path": "(({0},0),(0,{0}))", "polygon": "(({0},0),(0,{0}))", "circle": "<(0,0),{}>",
    "pg_lsn": "0/{}", "tid": "(0,{})", "tsvector": "s{}", "tsquery": "s{}", "hstore": "n=>{}", "jsonpath": "$.n{}",
    "txid_snapshot": "{0}:{0}:", "pg_snapshot": "{0}:{0}:", "char": "a", "interval": "{} hours", "ltree": "s{}",
    "geometry": "POINT({0} {0})", "geography": "POINT({0} {0})",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds: the number of its rows, their hash, and, of a small one, their values as JSON by column."""

    count: int
    digest: str | None
    key: tuple[str, ...]
    rows: list[dict[str, str]]


class Filled(NamedTuple):
    """What came of filling: the number of new rows, what stays empty and why, and what the tables hold now."""

    made: int
    notes: list[str]
    held: dict[str, Held]


class _Slot(NamedTuple):
    """Columns that get their values together, and the values to choose from."""

    columns: tuple[str, ...]
    choices: list[tuple[str | None, ...]]


def rows(conn: Connection, tables: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Held]:
    """What every table holds, by its quoted name; in a transaction of its own that writes nothing."""
    with conn.transaction():
        _settle(conn)
        tables = _query(conn, "tables") if tables is None else tables
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


def fill(conn: Connection, tried: dict[str, str], *, sparse: bool = False, only_empty: bool = False) -> Filled:
    """Make rows in every table that has none, and, unless `only_empty`, values in every column that has none.

    `tried` remembers the tables that refused, as they were then, so that the same one is not tried in vain again.
    `sparse` gives rows as few values as they may have.
    """
    tables = {table["name"]: table for table in _query(conn, "tables")}
    held = rows(conn, list(tables.values()))
    wanted = {
        name: columns
        for name in _in_order(tables)
        if tried.get(name) != repr(tables[name])
        and (columns := _lacking(tables[name], held[name])) is not None
        and not (only_empty and columns)
    }
    if not wanted:
        return Filled(0, [], held)
    maker = _Maker(conn, {row["oid"]: row for row in _query(conn, "types")})
    errors: dict[str, psycopg.Error] = {}
    count = 0
    with conn.transaction():
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name, columns in wanted.items():
            for n in range(1, ROWS + 1):
                # The last row is for nulls: an old one has them in its new columns already.
                nulls = n == ROWS or sparse
                if not (nulls and columns) and (nulls or name not in errors):
                    error = maker.write(tables[name], columns, n, nulls=nulls)
                    count += error is None and not columns
                    if error:
                        errors[name] = error
    held, notes = rows(conn, list(tables.values())), []
    for name, error in errors.items():
        columns = _lacking(tables[name], held[name])
        if columns is not None:
            tried[name] = repr(tables[name])
            what = f"values in {name}.{', '.join(columns)}" if columns else f"sample rows in {name}"
            notes.append(f"no {what}: {error.diag.message_primary or error}")
    return Filled(count, notes, held)


def _lacking(table: Mapping[str, Any], held: Held) -> list[str] | None:
    """The columns without a value in any row; none where there is no row, None where nothing is lacking."""
    if not held.count:
        return []
    names = [column["name"] for column in table["columns"]] if held.count <= DETAILED else []
    return [name for name in names if all(row[name] == "null" for row in held.rows)] or None


class _Maker:
    """Writes rows, one at a time; a refused one is tried again with other values in the columns that were refused."""

    def __init__(self, conn: Connection, types: dict[str, dict[str, Any]]) -> None:
        self.conn = conn
        self.types = types

    def write(self, table: Mapping[str, Any], only: Sequence[str], n: int, *, nulls: bool) -> psycopg.Error | None:
        """Insert the n-th row, or give the n-th row that is there values in `only` these columns; the last refusal."""
        slots = self._slots(table, only, n, nulls=nulls)
        names = list(dict.fromkeys(name for slot in slots for name in slot.columns))
        query = _insert(table, names) if not only else _update(table, names, n)
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
                slots.append(_Slot(tuple(link["columns"]), _rotated(self._keys(link), n)))
        for name, column in columns.items():
            if name not in taken:
                hints = " ".join(rule["text"] for rule in table["rules"] if name in rule["columns"])
                values = self._values(column["type"], column["typmod"], n, hints)
                slots.append(_Slot((name,), [(value,) for value in dict.fromkeys(values)]))
        for slot in slots:
            if not slot.choices or all(columns[name]["nullable"] for name in slot.columns):
                slot.choices.insert(0 if nulls else len(slot.choices), (None,) * len(slot.columns))
        return slots

    def _keys(self, link: Mapping[str, Any]) -> list[tuple[str | None, ...]]:
        """Rows that a foreign key can point to."""
        names = ", ".join(_name(name) for name in link["targets"])
        texts = ", ".join(f"{_name(name)}::text" for name in link["targets"])
        query = f"SELECT {texts} FROM {link['target']} WHERE ({names}) IS NOT NULL ORDER BY {names} LIMIT 20"  # noqa: S608
        return self.conn.execute(query.encode()).fetchall()

    def _values(self, oid: str, typmod: int, n: int, hints: str) -> list[str]:
        """Texts that the type may take, the n-th one first."""
        kind = self.types[oid]
        if kind["kind"] == "d":
            return self._values(kind["of"], kind["typmod"], n, f"{hints} {kind['checks']}")
        if kind["kind"] == "e":
            return _rotated(kind["labels"], n)
        if kind["kind"] in ("r", "m"):
            low, high = (self._values(kind["of"], -1, 10 * n + more, "")[0] for more in (0, 5))
            return [f'["{low}","{high}")' if kind["kind"] == "r" else f'{{["{low}","{high}")}}', "empty"]
        if kind["kind"] == "c":
            fields = [self._values(field, mod, n, "") for field, mod in kind["fields"]]
            return [
                "(" + ",".join(_quoted(values[i % len(values)]) for values in fields) + ")"
                for i in range(max(map(len, fields), default=1))
            ]
        if kind["category"] == "A" and kind["of"]:
            return ["{" + _quoted(value) + "}" for value in self._values(kind["of"], typmod, n, hints)] + ["{}"]
        return _base_values(kind, typmod, n, hints)


def _insert(table: Mapping[str, Any], names: Sequence[str]) -> str:
    into = f"INSERT INTO {table['name']}".replace("%", "%%")
    columns = ", ".join(map(_name, names)).replace("%", "%%")
    return f"{into} ({columns}) VALUES ({', '.join(['%s'] * len(names))})" if names else f"{into} DEFAULT VALUES"


def _update(table: Mapping[str, Any], names: Sequence[str], n: int) -> str:
    name = table["name"].replace("%", "%%")
    values = ", ".join(_name(column).replace("%", "%%") + " = %s" for column in names)
    nth = f"SELECT tableoid, ctid FROM {name} ORDER BY tableoid, ctid LIMIT 1 OFFSET {n - 1}"  # noqa: S608 - quoted
    return f"UPDATE {name} SET {values} WHERE (tableoid, ctid) = ({nth})"  # noqa: S608 - quoted


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _base_values(kind: Mapping[str, Any], typmod: int, n: int, hints: str) -> list[str]:
    strings = [text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", hints)]
    numbers = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", hints)
    match kind["category"]:
        case "B":
            return _rotated(["true", "false"], n)
        case "N":
            whole = (typmod - 4 >> 16) - (typmod - 4 & 0x7FF) if kind["name"] == "numeric" and typmod > 3 else 4
            first = n % 10**whole if whole > 0 else f"{n % 10}e-{max(1, typmod - 4 & 0x7FF)}"
            near = [f"{float(x) + d:g}" for x in numbers for d in (0, 1, -1, 0.5)]
            return [str(first), *_rotated(near, n), *(str(n + d) for d in (10, 20, 30, 100)), "0", "0.5", "-1"]
        case "D":
            times = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n, hours=n % 24) for year in (2001, 2026, 2101)]
            return [*map(str, times), *(text for text in strings if re.match(r"\d{2,4}[-:]", text))]
        case "S" if kind["name"] != "char":
            length = typmod - 4 if typmod > 4 else 0
            lengths = [str(n)[-1] * int(x) for x in numbers if x.isdecimal() and int(x) < 1000]
            turned = str.maketrans("aA0", chr(97 + (n - 1) % 6) + chr(65 + (n - 1) % 26) + str(n % 10))
            common = [text.translate(turned) for text in _TEXTS]
            texts = [f"s{n}", *_rotated(strings, n), *lengths, *common, *(f"s{n + d}" for d in (10, 20, 30, 100))]
            return [text[-length:] if length else text for text in texts]
        case "V":
            size = max(typmod, 1) if kind["name"] == "bit" else 8
            return [f"{n + d:0{size}b}"[-size:] for d in (0, 1, 2, 3)]
        case _:
            if kind["name"] == "vector":
                return [json.dumps([n] * max(typmod, 1))]
            shapes = [_SHAPES[kind["name"]]] if kind["name"] in _SHAPES else ["{}", "s{}", "({0},{0})"]
            return [shape.format(n + d) for shape in shapes for d in (0, 10, 20)]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _rotated(values: Sequence[Any], n: int) -> list[Any]:
    start = (n - 1) % len(values) if values else 0
    return [*values[start:], *values[:start]]


def _in_order(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The tables, each behind those that its foreign keys point to; a circle is broken somewhere."""
    found: dict[str, None] = {}
    open_: set[str] = set()

    def visit(name: str) -> None:
        if name in tables and name not in open_:
            open_.add(name)
            for link in tables[name]["links"]:
                visit(link["target"])
            found[name] = None

    for name in tables:
        visit(name)
    return list(found)


def _settle(conn: Connection) -> None:
    each = "SELECT pg_catalog.set_config(key, value, true) FROM pg_catalog.jsonb_each_text(%s::pg_catalog.jsonb)"
    conn.execute(each, [json.dumps(SETTINGS)])


def _exact(text: str) -> dict[str, Any]:
    """A row; numbers stay as they are written, since 1.0 and 1.00 are two values."""
    found: dict[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return found


def _query(conn: Connection, name: str) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(named("samples.sql")[name].encode()).fetchall()
