"""Where sequences stand, and which of them would give a value again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from pgyoyo.catalog.rows import TableRows, settled
from pgyoyo.queries import named

_QUERY = Path(__file__).with_name("sequences.sql")
_AT_ONCE = 200
_LIMIT = 9223372036854775807  # the last value of a sequence


class Standing(NamedTuple):
    """A sequence: the value it gives next, its step, and the furthest value of the column that it feeds, if it feeds one.

    `keyed` tells whether that column has to be unique.
    """

    name: str
    step: int
    next: int
    column: str | None
    furthest: Decimal | int | None
    keyed: bool

    @property
    def collides(self) -> bool:
        """Whether an INSERT will meet a row that has the value already."""
        return self.keyed and self.furthest is not None and (self.furthest - self.next) * self.step >= 0


class Listed(NamedTuple):
    """A sequence and a column that it feeds, if it feeds one: table and column quoted, and the column as it is.

    `branches`: other tables may inherit from the table.
    """

    oid: int
    name: str
    step: int
    relid: int | None
    tab: str | None
    col: str | None
    attname: str | None
    keyed: bool
    branches: bool


def listed(conn: Connection, oids: Sequence[int] | None = None) -> list[Listed]:
    """The sequences, or those among these relations or that feed them, in any order; under `settled`."""
    with conn.cursor(row_factory=class_row(Listed)) as cursor:
        query = named(_QUERY)["sequences"].encode()
        return cursor.execute(query, {"oids": None if oids is None else list(oids)}).fetchall()


def standings(
    conn: Connection, known: Sequence[Listed] | None = None, held: Mapping[str, TableRows] | None = None
) -> list[Standing]:
    """Where each sequence stands; those that start again at their end are left out. Writes nothing.

    `known`: the sequences, where they have been listed; `held`: what tables hold now, where it was read.
    """
    with settled(conn):
        every = sorted(
            listed(conn) if known is None else known, key=lambda row: (row.name, row.tab or "", row.col or "")
        )
        following = _following(conn, every)
        furthest = _furthest(conn, every, held or {})
    return [
        Standing(row.name, row.step, following[row.oid], f"{row.tab}.{row.col}" if row.tab else None, most, row.keyed)
        for row, most in zip(every, furthest, strict=True)
    ]


def _following(conn: Connection, every: Sequence[Listed]) -> dict[int, int]:
    """The value that each sequence gives next, by OID."""
    steps = {row.oid: row.step for row in every}
    if not steps:
        return {}
    query = named(_QUERY)["last"].encode()
    last = conn.execute(query, [list(steps)]).fetchall()
    following = {oid: value + steps[oid] for oid, value in last if value is not None}
    # One that has given no value yet, and what it begins with, shows in itself only.
    fresh = {row.oid: row.name for row in every if row.oid not in following}
    queries = [
        f"SELECT {oid}, last_value, CASE WHEN is_called THEN {steps[oid]} ELSE 0 END FROM {name}"  # noqa: S608 - quoted by the server
        for oid, name in fresh.items()
    ]
    return following | {oid: value + step for oid, value, step in _together(conn, queries)}


def _furthest(conn: Connection, every: Sequence[Listed], held: Mapping[str, TableRows]) -> list[Decimal | int | None]:
    """The furthest value of the column that each one feeds, None where it has none, or there is no such column."""
    read: dict[int, Decimal | int | None] = {}
    queries = []
    for i, row in enumerate(every):
        table = held.get(row.tab) if row.tab and not row.branches else None
        if row.tab is None or (table and not table.count):
            read[i] = None
        elif table and table.count == len(table.rows) and row.attname in table.rows[0]:
            read[i] = _most((values[row.attname] for values in table.rows), row.step)
        else:
            # Not a number: NaN, which is above all others, and infinity are no value of a sequence.
            which, within = "max" if row.step > 0 else "min", f"{row.col} < {_LIMIT} AND {row.col} > -{_LIMIT}"
            queries.append(f"SELECT {i}, (SELECT {which}({row.col})::numeric FROM {row.tab} WHERE {within})")  # noqa: S608 - quoted by the server
    return [value for _, value in sorted((read | dict(_together(conn, queries))).items())]


def _most(texts: Iterable[str], step: int) -> Decimal | int | None:
    """The furthest of the values in JSON of a column of numbers, as the server would find it."""
    values = (_number(text.strip('"')) for text in texts if text != "null")
    return (max if step > 0 else min)((value for value in values if -_LIMIT < value < _LIMIT), default=None)


def _number(text: str) -> Decimal | int:
    if text.isdigit():
        return int(text)
    return Decimal(text if text != "NaN" else "Infinity")


def _together(conn: Connection, queries: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of many queries, sent in few."""
    for start in range(0, len(queries), _AT_ONCE):
        yield from conn.execute(" UNION ALL ".join(queries[start : start + _AT_ONCE]).encode(), prepare=False)


def collisions(before: Sequence[Standing], after: Sequence[Standing]) -> list[str]:
    """The sequences whose next value is in their column already, and was not before, a line each.

    A column or sequence may have another name now; it is the same where it stands as one did that is gone.
    """
    known = {standing.column for standing in before if standing.collides}
    here = {standing.name for standing in after}
    places = {(old.next, old.furthest): old for old in before if old.collides}
    same = {
        new.name
        for new in after
        if (old := places.get((new.next, new.furthest))) and (old.name == new.name or old.name not in here)
    }
    return [
        f"sequence {new.name}: gives {new.next} next, and {new.column} has {new.furthest}: an INSERT will be a duplicate"
        for new in after
        if new.collides and new.column not in known and new.name not in same
    ]


def set_forward(before: Sequence[Standing], applied: Sequence[Standing], back: Sequence[Standing]) -> list[str]:
    """The sequences that a migration moves on, by no row of a column that they feed, and that stay there, a line each."""
    first, now = ({standing.name: standing for standing in standings} for standings in (before, back))

    def is_ahead(standing: Standing) -> bool:
        return standing.furthest is None or (standing.next - standing.furthest) * standing.step > standing.step**2

    lines = [
        f"sequence {new.name}: gives {now[new.name].next} next after the rollback, and {old.next} before: those between are "
        "left out (not compared)"
        for new in applied
        if (old := first.get(new.name)) and new.name in now and is_ahead(new)
        and (new.next - old.next) * old.step > 0 and (now[new.name].next - old.next) * old.step > 0
    ]  # fmt: skip
    return list(dict.fromkeys(lines))


def set_back(before: Sequence[Standing], after: Sequence[Standing]) -> list[str]:
    """The sequences that give values again which they gave before, a line each."""
    now = {standing.name: standing for standing in after}
    lines = [
        f"sequence {old.name}: gives {now[old.name].next} next, and {old.next} before"
        for old in before
        if old.name in now and (old.next - now[old.name].next) * old.step > 0
    ]
    return list(dict.fromkeys(lines))
