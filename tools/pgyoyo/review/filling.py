"""Tables filled with sample rows for a scale trial, in a transaction that is rolled back."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from pgyoyo.catalog import rows as catalog
from pgyoyo.identifiers import quoted
from pgyoyo.queries import named
from pgyoyo.review import constants, scale_rows
from pgyoyo.review.relation_names import bare_name

QUERIES = Path(__file__).with_name("scale.sql")
_DEEPEST_CALL = 3
_LONGEST_CHAIN = 4  # of foreign keys whose columns are each other's targets

Table = Mapping[str, Any]
Column = Mapping[str, Any]


class Filler:
    """Fills tables, given by OID, for a statement; `excluded` ones stay empty.

    CHECKs, which few sample values would pass, and foreign keys to tables that stay empty go before; partitioned tables get a
    default partition; materialized views of them are refreshed. Triggers must not fire: the caller sets
    session_replication_role, or, where it may not, says that they do (`fires`). It also sets the search_path pg_catalog.
    """

    def __init__(
        self,
        conn: Connection,
        oids: Iterable[int],
        excluded: Iterable[int],
        statement: str,
        *,
        digits: bool,
        fires: bool,
    ) -> None:
        self.conn = conn
        self.statement = statement
        self.digits = digits
        self._fires = fires
        self._oids = set(oids)
        self._excluded = set(excluded)
        self._tables: dict[int, Table] = {}
        self._types: dict[str, Any] | None = None
        self._known: dict[tuple[int, str], list[str]] = {}
        self._constants: dict[str, list[str]] = {}
        self._ranged: set[str] = set()
        self._assigned = constants.assigned(statement)
        # The tables with foreign keys that share columns, and those that they point to, whose rows go in step.
        self._sharing: set[int] = set()
        self._in_step: set[int] = set()

    def fill(self, there: int, size: int) -> str | None:
        """Add rows up to the size; why that was not possible."""
        if not self._tables:
            self._prepare()
        filled = [table for oid, table in self._tables.items() if oid not in self._excluded]
        with self._paused([table["oid"] for table in filled]):
            for table in filled:
                if reason := self._fill(table, there, size):
                    return f"no sample rows in {table['name']}: {reason}"
        for name in dict.fromkeys(name for table in filled for name in table["views"]):
            self.conn.execute(f"REFRESH MATERIALIZED VIEW {name}".encode())
        for table in filled:
            self.conn.execute(f"ANALYZE {table['name']}".encode())
        return None

    @contextmanager
    def _paused(self, oids: Sequence[int]) -> Iterator[None]:
        """Without the foreign keys and triggers of these tables, which come back with a look at all rows."""
        if not self._fires:
            yield
            return
        pairs = self.conn.execute(named(QUERIES)["paused"].encode(), {"oids": oids}).fetchall()
        for gone, _ in pairs:
            self.conn.execute(gone.encode())
        yield
        for _, back in pairs:
            self.conn.execute(back.encode())

    @property
    def parents(self) -> dict[int, set[int]]:
        """The tables that the foreign keys of each filled table point to, by OID."""
        return {oid: {link["table"] for link in table["links"]} for oid, table in self._tables.items()}

    def _prepare(self) -> None:
        with self.conn.cursor(row_factory=dict_row) as cursor:
            oids = {"oids": sorted(self._oids | self._excluded)}
            cursor.execute(named(QUERIES)["tables"], oids)
            given = cursor.fetchall()
        self._tables = {table["oid"]: table for table in given}
        self._find_shared_keys()
        definitions = self._definitions(oids["oids"])
        tables = self._tables.values()
        columns = {column["name"] for table in tables for column in table["columns"]}
        bounds = [bound for table in tables for bound in table["bounds"]]
        self._constants = constants.constants([*bounds, *definitions, self.statement], columns)
        self._constants |= {name: values for name, values in constants.listed(self.statement).items() if values}
        self._ranged = {name for text in (*definitions, self.statement) for name in constants.ranged(text, columns)}
        self._constants[""] = [*self._constants.get("", []), *self._misplaced()][: constants.MOST]
        in_code = set().union(*map(constants.words, definitions))
        for table in tables:  # code acts on it as a foreign key does
            for link in table["links"]:
                link["acts"] = link["acts"] or bare_name(table["name"]) in in_code
        targets = {(link["table"], name) for table in tables for link in table["links"] for name in link["targets"]}
        for row in given:
            unique = {self._telling(row, key) for key in row["keys"] if key}
            for column in row["columns"]:
                column["unique"] = column["name"] in unique
                # What keys point to is in every row.
                column["nullable"] = column["nullable"] and (row["oid"], column["name"]) not in targets
        for table in tables:
            self.conn.execute(f"DELETE FROM {table['name']}".encode())  # noqa: S608 - quoted by the server; rows that were loaded
            for number, name in enumerate(table["open"]):
                default = f"public.pgyoyo_default_{table['oid']}_{number}"
                self.conn.execute(f"CREATE TABLE {default} PARTITION OF {name} DEFAULT".encode())
            gone = [link["name"] for link in table["links"] if link["table"] in self._excluded] + table["checks"]
            for constraint in gone:
                self.conn.execute(f"ALTER TABLE {table['name']} DROP CONSTRAINT {constraint}".encode())
        for drop in sorted({drop for table in tables for drop in table["domains"]}):
            self.conn.execute(drop.encode())

    def _telling(self, table: Table, key: list[str]) -> str:
        """The column of a unique key whose values tell the rows apart, so that no other one of it has to.

        One that the statement compares with a constant may have that in many rows, unless each row has its own. So the
        first choice is one that it leaves alone, then one of which it takes a range.
        """
        counted = {column["name"] for column in table["columns"] if column["counted"]}
        free = [name for name in key if name not in self._constants]
        open_ = free or [name for name in key if name in self._ranged]
        return key[0] if not open_ or (key[0] in counted and (free or key[0] in self._ranged)) else open_[0]

    def _misplaced(self) -> list[str]:
        """The constants that no column takes beside which they stand: (id, kind) IN (SELECT id, 'view' …)."""
        columns = [column for table in self._tables.values() for column in table["columns"]]
        result: list[str] = []
        for name, values in self._constants.items():
            types = {column["type"] for column in columns if column["name"] == name and column["category"] not in "SA"}
            if types and not any(column["name"] == name and column["category"] in "SA" for column in columns):
                taken = {value for type_ in types for value in self._taken(type_, values)}
                result += [value for value in values if value not in taken]
        return result

    def _definitions(self, oids: list[int]) -> list[str]:
        """What the functions and views that the statement names do, those that these name, and the triggers of the tables."""
        texts: dict[str, None] = {}
        names = constants.words(self.statement)
        for _ in range(_DEEPEST_CALL):
            rows = self.conn.execute(named(QUERIES)["texts"], {"names": sorted(names), "oids": oids}).fetchall()
            new = [text for (text,) in rows if text not in texts]
            if not new:
                break
            texts.update(dict.fromkeys(new))
            names = set().union(*map(constants.words, new))
        return list(texts)

    def _fill(self, table: Table, there: int, size: int) -> str | None:
        """Add rows to one table; why that was not possible."""
        columns = table["columns"]
        if not columns:
            rows = f"SELECT FROM generate_series({there + 1}, {size})"
            self.conn.execute(f"INSERT INTO {table['name']} {rows}".encode())
            return None
        # A table with rules, or with deferrable keys, takes no ON CONFLICT; a server may know no values of an odd type.
        reason = None
        for end, odd in ((" ON CONFLICT DO NOTHING", True), ("", True), (" ON CONFLICT DO NOTHING", False)):
            given = [column for column in columns if odd or not column["nullable"] or not scale_rows.is_exotic(column)]
            try:
                with self.conn.transaction():
                    made = self._insert(table, given, there, size, end)
            except psycopg.Error as error:
                reason = words(error)
            else:
                # Of a key that has few values there are few rows.
                few = any(column["unique"] and column["category"] in "BE" for column in columns)
                return None if made >= (size - there) // 2 or few else "too few of them are unique"
        return reason

    def _insert(self, table: Table, columns: list[Column], there: int, size: int, end: str) -> int:
        values = [self._values(table, column, size)[there:] for column in columns]
        names = ", ".join(quoted(column["name"]) for column in columns)
        casts = ", ".join(f"c{i}::{column['type']}" for i, column in enumerate(columns))
        aliases = ", ".join(f"c{i}" for i in range(len(columns)))
        query = (f"INSERT INTO {table['name']} ({names}) OVERRIDING SYSTEM VALUE SELECT {casts}").replace("%", "%%")
        query += f" FROM unnest({', '.join(['%s::text[]'] * len(columns))}) AS u ({aliases})"
        return self.conn.execute((query + end).encode(), values).rowcount

    def _values(self, table: Table, column: Column, count: int, depth: int = 0) -> list[str | None]:
        """The values of a column in so many rows; of a foreign key, those of the column that it points to."""
        for link in table["links"] if depth < _LONGEST_CHAIN else ():
            target, targeted = self._target(link, column["name"])
            if target and targeted and (target, targeted) != (table, column):
                values = self._values(target, targeted, count, depth + 1)
                # The columns of a key take their values from the same row; so do keys that share a column.
                together = [link]
                if table["oid"] in self._sharing:
                    together = [each for each in table["links"] if self._target(each, each["columns"][0])[0]]
                names = {name for each in together for name in each["columns"]}
                own = any(each["unique"] for each in table["columns"] if each["name"] in names)
                own = own or table["oid"] in self._in_step
                known, meant = self._pointing(together, names)
                linked = {**column, "unique": own, "nullable": column["nullable"] and len(names) == 1}
                return list(scale_rows.linked(linked, together[0]["name"], values, known, meant=meant))
        if self._types is None and scale_rows.is_exotic(column):
            self._types = catalog.types(self.conn)
        given = self._of(table, column)
        return list(scale_rows.values(column, given, self._types or {}, count, digits=self.digits))

    def _target(self, link: Mapping[str, Any], name: str) -> tuple[Table | None, Column | None]:
        """The table and the column that a column points to, where it is one of the key and the table is filled."""
        target = self._tables.get(link["table"])
        if name not in link["columns"] or not target or link["table"] in self._excluded:
            return None, None
        targeted = link["targets"][link["columns"].index(name)]
        return target, next((each for each in target["columns"] if each["name"] == targeted), None)

    def _pointing(self, links: Sequence[Mapping[str, Any]], names: Set[str]) -> tuple[int, bool]:
        """How many of the first rows that these keys point to have constants, and whether many rows are to point to them."""
        known = 0
        for link in links:
            target = self._tables[link["table"]]
            # Many go with each parent that the statement names, in whatever column.
            pointed = target["columns"] if link["acts"] else [self._target(link, name)[1] for name in link["columns"]]
            known = max(known, *(len(self._of(target, each)) for each in pointed if each), 0)
        return known, any(link["acts"] for link in links) or any(name in self._constants for name in names)

    def _find_shared_keys(self) -> None:
        """Find them among the tables that are known now."""
        counts = {
            oid: Counter(name for link in t["links"] for name in link["columns"]) for oid, t in self._tables.items()
        }
        self._sharing = {oid for oid, names in counts.items() if any(count > 1 for count in names.values())}
        reached = [
            link["table"] for oid in self._sharing for link in self._tables[oid]["links"] if link["table"] != oid
        ]
        while reached:
            if (oid := reached.pop()) not in self._in_step and oid in self._tables:
                self._in_step.add(oid)
                reached += [link["table"] for link in self._tables[oid]["links"]]

    def _of(self, table: Table, column: Column) -> list[str]:
        """The constants that its type takes: those beside it or a column that points to it, else those of no known place."""
        key = table["oid"], column["name"]
        if key not in self._known:
            pointing = [
                name
                for child in self._tables.values() for link in child["links"] if link["table"] == table["oid"]
                for name, target in zip(link["columns"], link["targets"], strict=True) if target == column["name"]
            ]  # fmt: skip
            given = [value for name in (column["name"], *pointing) for value in self._constants.get(name, [])]
            given = given or self._constants.get("", [])
            # A row does not have yet what is assigned to it, where that can matter.
            if (value := self._assigned.get(column["name"])) and column["unique"]:
                given = [each for each in given if each != value]
            elif value and column["category"] == "B":
                given = ["false" if value == "true" else "true"]
            if column["base"] in ("json", "jsonb"):
                given = [json.dumps(dict(pairwise(given))), *given]
            elif column["category"] == "A":
                given = ["{" + json.dumps(value) + "}" for value in given] + given
            self._known[key] = self._taken(column["type"], list(dict.fromkeys(given)))[: constants.MOST]
        return self._known[key]

    def _taken(self, type_: str, values: list[str]) -> list[str]:
        """Those that a type takes."""
        if not values:
            return []
        if self.conn.info.server_version >= 160000:
            query = (
                "SELECT v FROM unnest(%s::text[]) WITH ORDINALITY AS u (v, n) WHERE pg_input_is_valid(v, %s) ORDER BY n"
            )
            return [value for (value,) in self.conn.execute(query, [values, type_])]
        good = []
        for value in values:
            try:
                with self.conn.transaction():
                    self.conn.execute(f"SELECT CAST(%s::text AS {type_.replace('%', '%%')})".encode(), [value])
            except psycopg.Error:
                continue
            good.append(value)
        return good


def words(error: psycopg.Error) -> str:
    """The server's message, in a line."""
    return error.diag.message_primary or str(error).strip()
