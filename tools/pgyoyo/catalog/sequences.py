"""Where sequences stand, and which of them would give a value again."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from pgyoyo.catalog.rows import settled
from pgyoyo.queries import named

_QUERY = Path(__file__).with_name("sequences.sql")
_AT_ONCE = 200


class Standing(NamedTuple):
    """A sequence: the value it gives next, its step, and the furthest value of the column that it feeds, if it feeds one.

    `keyed` tells whether that column has to be unique.
    """

    name: str
    step: int
    next: int
    column: str | None
    furthest: int | None
    keyed: bool

    @property
    def collides(self) -> bool:
        """Whether an INSERT will meet a row that has the value already."""
        return self.keyed and self.furthest is not None and (self.furthest - self.next) * self.step >= 0


class _Listed(NamedTuple):
    name: str
    step: int
    tab: str | None
    col: str | None
    keyed: bool


def standings(conn: Connection) -> list[Standing]:
    """Where each sequence stands; those that start again at their end are left out. Writes nothing."""
    with settled(conn):
        with conn.cursor(row_factory=class_row(_Listed)) as cursor:
            listed = cursor.execute(named(_QUERY)["sequences"].encode()).fetchall()
        read: list[Standing] = []
        for start in range(0, len(listed), _AT_ONCE):
            part = listed[start : start + _AT_ONCE]
            query = " UNION ALL ".join(_query(i, row) for i, row in enumerate(part))
            for i, following, furthest in conn.execute(query.encode(), prepare=False).fetchall():
                row = part[i]
                column = f"{row.tab}.{row.col}" if row.tab else None
                read.append(Standing(row.name, row.step, following, column, furthest, row.keyed))
    return read


def _query(i: int, row: _Listed) -> str:
    following = f"CASE WHEN is_called THEN last_value::numeric + {row.step} ELSE last_value END"
    # Not a number: NaN, which is above all others, and infinity are no value of a sequence.
    bound = "<" if row.step > 0 else ">"
    limit = f"{'' if row.step > 0 else '-'}9223372036854775807"
    furthest = "NULL::numeric" if row.tab is None else (
        f"(SELECT {'max' if row.step > 0 else 'min'}({row.col})::numeric FROM {row.tab} WHERE {row.col} {bound} {limit})"  # noqa: S608 - quoted by the server
    )  # fmt: skip
    return f"SELECT {i}, {following}, {furthest} FROM {row.name}"  # noqa: S608 - quoted by the server


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
