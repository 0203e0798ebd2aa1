"""Which sequences would give a value again, and did not before."""

import pytest
from psycopg import Connection

from pgyoyo.catalog.sequences import Standing, collisions, standings

BEHIND = Standing("s", 1, 4, "t.id", 9, keyed=True)


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        (BEHIND, BEHIND, 0),
        (BEHIND, BEHIND._replace(column="t.other"), 0),
        (BEHIND, BEHIND._replace(name="r", column="r.id"), 0),
        (BEHIND, BEHIND._replace(column="t.other", next=3), 1),
        (BEHIND._replace(next=10), BEHIND, 1),
        (BEHIND._replace(furthest=None), BEHIND._replace(column="t.other"), 1),
    ],
)
def test_sequence_that_was_behind_before_is_not_counted_also_under_another_name(
    before: Standing, after: Standing, counted: int
) -> None:
    assert len(collisions([before], [after])) == counted


def test_another_sequence_that_stands_alike_is_counted() -> None:
    other = Standing("r", 1, 4, "r.id", None, keyed=True)
    assert len(collisions([BEHIND, other], [BEHIND, other._replace(furthest=9)])) == 1


def test_sequences_of_no_column_stand_beside_those_of_one(conn: Connection) -> None:
    conn.execute("CREATE SEQUENCE a; CREATE SEQUENCE b; CREATE TABLE c (id serial)")
    assert [standing.furthest for standing in standings(conn)] == [None] * 3
