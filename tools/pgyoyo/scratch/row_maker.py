"""Rows of one table, written one at a time, each as its constraints allow."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from pgyoyo.identifiers import quoted
from pgyoyo.scratch.known_rows import KnownRows, Values
from pgyoyo.scratch.sample_values import choices_of, listed_texts, rotated, values_of

EDGES = 3  # rows with values at the edges of their types, after the first one
ROWS = EDGES + 2  # that a table has at least, the last one of nulls
MOST = 12  # that it has where a check or an enum lists values
TRIES = 300  # that one row is worth, until its constraints are content


class _Slot(NamedTuple):
    """Columns that get their values together, the values to choose from, and, of a foreign key, the rows it can point to."""

    columns: tuple[str, ...]
    choices: list[Values]
    keys: list[Values] | None = None


class _Search:
    """Goes through the combinations of what slots may be given in the n-th row, until it is taken."""

    def __init__(self, slots: Sequence[_Slot], n: int) -> None:
        self._slots = slots
        self._n = n
        self._place = [0] * len(slots)
        self._left = TRIES
        self._tries: Counter[tuple[int, ...]] = Counter()
        self._with_nulls: dict[tuple[int, ...], Iterator[tuple[int, ...]]] = {}

    def chosen(self) -> list[tuple[_Slot, Values]]:
        """The slots with what they are given now."""
        return [(slot, slot.choices[at]) for slot, at in zip(self._slots, self._place, strict=True)]

    def turn(self, blamed: Set[str], *, nulls: bool) -> bool:
        """Go to the next combination of the columns that are blamed, or, where none is, to everybody's next.

        Whether there is one. `nulls`: it may be that some of them must have no value.
        """
        turning = tuple(i for i, slot in enumerate(self._slots) if blamed & set(slot.columns))
        self._left -= 1
        if nulls:
            # First those that have a value in all places, which then change the least.
            order = sorted(turning, key=lambda i: self._null(i) is not None)
            places = self._with_nulls.setdefault(turning, product(*map(self._first_or_none, order)))
            if combination := next(places, None):
                for i, at in zip(order, combination, strict=True):
                    self._place[i] = at
                self._tries.clear()  # what others were refused beside may be taken beside this
                return self._left >= 0
        self._tries[turning] += 1
        moved = turning or range(len(self._slots))
        if self._left < 0 or self._tries[turning] >= prod(len(self._slots[i].choices) for i in moved):
            return False
        for i in moved:
            self._place[i] = (self._place[i] + 1) % len(self._slots[i].choices)
            if turning and self._place[i]:
                break
        return True

    def _null(self, i: int) -> int | None:
        """The place of no value among the choices of a slot."""
        return next((at for at, values in enumerate(self._slots[i].choices) if set(values) == {None}), None)

    def _first_or_none(self, i: int) -> Sequence[int]:
        none, places = self._null(i), range(len(self._slots[i].choices))
        if none is None:
            return places
        both = [*[at for at in places[:2] if at != none][:1], none]
        return both[::-1] if (self._n - 1) >> i % 2 & 1 else both  # so that each column has a value in some row


class RowMaker:
    """Writes rows, one at a time; a refused one is tried again with other values in the columns that were refused.

    `types` gives those of the columns, and what they are made of, by OID, when they are first needed.
    """

    def __init__(self, conn: Connection, edges: int, types: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self.conn = conn
        self._types_of = types
        self.edges = edges
        self.taken = KnownRows()
        # The last refusal of a value, by table and column.
        self.refused: dict[tuple[str, str], psycopg.Error] = {}
        # What was read of the rows that foreign keys point to, by table and query.
        self._read: dict[str, dict[str, list[Values]]] = {}

    @cached_property
    def types(self) -> Mapping[str, Mapping[str, Any]]:
        """The types of the columns by their OID."""
        return self._types_of()

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
        texts = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in names)
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
        search = _Search(slots, n)
        was_cast = False
        while True:
            chosen = search.chosen()
            values = dict(pair for slot, each in chosen for pair in zip(slot.columns, each, strict=True))
            error = self._attempt(query, [values[name] for name in names])
            if error is None:
                self._forget_keys(table)
                self.taken.add(names, [(slot.columns, each, slot.keys) for slot, each in chosen])
                return None
            if (error.diag.datatype_name or (error.sqlstate or "")[:2] in ("22", "0A")) and not was_cast:
                was_cast = True
                self._keep_castable(table, slots)
                search = _Search(slots, n)
                continue
            blamed = self._blamed(table, error, values) & set(names)
            self.refused.update({(table["name"], name): error for name in blamed})
            if not search.turn(blamed, nulls=self._asks_for_nulls(table, error)):
                return error

    def write_known(self, table: Mapping[str, Any], known: KnownRows) -> bool:
        """Insert all rows that a table like this one took, where it takes them again; else none."""
        links = {tuple(link["columns"]): link for link in table["links"]}
        texts = known.texts(lambda columns: self._keys(links[columns]))
        if texts is None:
            return False
        error = self._attempt(_insert(table, known.columns, len(texts)), [text for row in texts for text in row])
        self._forget_keys(table)
        return error is None

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

    def _blamed(self, table: Mapping[str, Any], error: psycopg.Error, values: Mapping[str, str | None]) -> set[str]:
        column = error.diag.column_name
        if column and error.sqlstate == "23502" and values.get(column) is not None:
            return set()  # a trigger made null of it, mostly since it reads another column, a text of a form of its own
        if column:
            return {column}
        rules = [rule for rule in table["rules"] if rule["name"] == error.diag.constraint_name]
        return {name for rule in rules for name in rule["columns"]}

    def _asks_for_nulls(self, table: Mapping[str, Any], error: psycopg.Error) -> bool:
        """Whether it is a check that wants some of its columns to have no value."""
        name = error.diag.constraint_name
        return any(rule["name"] == name and " IS N" in rule["text"] for rule in table["rules"])

    def _slots(self, table: Mapping[str, Any], only: Sequence[str], n: int, *, nulls: bool) -> list[_Slot]:
        """What each column can be given in the n-th row; `nulls`: nothing rather than something."""
        columns = {column["name"]: column for column in table["columns"] if not only or column["name"] in only}
        slots: list[_Slot] = []
        taken: set[str] = set()
        # How many are before it of one category of types, or point to one table: else a row would not tell two of them apart.
        # Everyday rows have one number in all columns, so that they also fit together where no key says so.
        alike: Counter[str] = Counter()
        step = 1 if self.edges else 0
        for link in table["links"]:
            if columns.keys() >= set(link["columns"]) and not taken & set(link["columns"]):
                taken |= set(link["columns"])
                keys = self._keys(link)
                slots.append(_Slot(tuple(link["columns"]), rotated(keys, n + alike[link["target"]]), keys))
                alike[link["target"]] += step
        for link in table[
            "links"
        ]:  # of a key that shares columns with another, or with a row that is there, what is left
            left = [at for at, name in enumerate(link["columns"]) if name in columns.keys() - taken]
            if left and (keys := list(dict.fromkeys(tuple(key[at] for at in left) for key in self._keys(link)))):
                own = tuple(link["columns"][at] for at in left)
                taken |= set(own)
                slots.append(_Slot(own, rotated(keys, n)))
        for name, column in columns.items():
            if name not in taken:
                hints = " ".join(rule["text"] for rule in table["rules"] if name in rule["columns"])
                edge = n - 1 if 1 < n <= self.edges + 1 else 0
                category = self.types[column["type"]]["category"]
                before = alike[category]
                values = values_of(self.types, column["type"], column["typmod"], n + before, hints, edge=edge)
                alike[category] += step
                slots.append(_Slot((name,), [(value,) for value in dict.fromkeys(values)]))
        for slot in slots:
            if not slot.choices or all(columns[name]["nullable"] for name in slot.columns):
                slot.choices.insert(0 if nulls else len(slot.choices), (None,) * len(slot.columns))
        return slots

    def _keys(self, link: Mapping[str, Any]) -> list[Values]:
        """Rows that a foreign key can point to."""
        names = ", ".join(quoted(name) for name in link["targets"])
        texts = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in link["targets"])
        query = f"SELECT {texts} FROM {link['target']} WHERE ({names}) IS NOT NULL ORDER BY {names} LIMIT 20"  # noqa: S608
        targets = self._read.setdefault(link["target"], {})
        if query not in targets:
            targets[query] = self.conn.execute(query.encode()).fetchall()
        return targets[query]

    def _forget_keys(self, table: Mapping[str, Any]) -> None:
        """Have keys read again that a row just written may be among; a trigger may have written anywhere."""
        if table["code"] is None:
            self._read.clear()
        self._read.pop(table["name"], None)


def _insert(table: Mapping[str, Any], names: Sequence[str], count: int = 1) -> str:
    into = f"INSERT INTO {table['name']}".replace("%", "%%")
    columns = ", ".join(map(quoted, names)).replace("%", "%%")
    row = f"({', '.join(['%s'] * len(names))})"
    return f"{into} ({columns}) VALUES {', '.join([row] * count)}" if names else f"{into} DEFAULT VALUES"


def _update(table: Mapping[str, Any], names: Sequence[str]) -> str:
    name = table["name"].replace("%", "%%")
    columns = [quoted(column).replace("%", "%%") for column in names]
    values, empty = (
        word.join(f"{column} {what}" for column in columns) for word, what in ((", ", "= %s"), (" AND ", "IS NULL"))
    )
    first = f"SELECT tableoid, ctid FROM {name} WHERE {empty} ORDER BY tableoid, ctid LIMIT 1"  # noqa: S608 - quoted
    return f"UPDATE {name} SET {values} WHERE (tableoid, ctid) OPERATOR(pg_catalog.=) ({first})"  # noqa: S608 - quoted
