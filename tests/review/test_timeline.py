"""The life of locks as shapes: when they are held, what works under them, and what is not worth drawing."""

from dataclasses import replace

import pytest

import sheets
from pgyoyo.review.render import phrases as words
from pgyoyo.review.render.timeline import COMMIT, MOST_ROWS, Bar, Timeline, timeline
from pgyoyo.review.sheet import ERROR, NOT_REACHED, Lock, ObservedStatement, Relation, Sheet, Work

TABLE = Relation("public.t", "table", existed=True)
OTHER = Relation("public.u", "table", existed=True)


def of(*locks: Lock, count: int = 4, transactional: bool = True) -> Timeline:
    """The timeline of statements that differ, with these locks."""
    seen = tuple(ObservedStatement(i, i, f"S {i}", f"S {i}") for i in range(1, count + 1))
    return timeline(replace(sheets.clean(), statements=seen, locks=locks, transactional=transactional), {})


def bars(drawn: Timeline) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """Mode and relation of each row, and where its bars begin and end, counted in columns."""
    share = drawn.columns[0].width

    def span(bar: Bar) -> tuple[float, float]:
        return round(bar.left / share, 2), round((bar.left + bar.width) / share, 2)

    return [(row.mode, row.relation.name, [span(bar) for bar in row.bars]) for row in drawn.rows]


def test_lock_lasts_from_its_statement_through_the_commit() -> None:
    drawn = of(Lock(TABLE, "ACCESS EXCLUSIVE", 2, 4))
    assert bars(drawn) == [("ACCESS EXCLUSIVE", "public.t", [(1, 4 + COMMIT)])]
    assert [str(row) for row in drawn.rows] == [
        "ACCESS EXCLUSIVE on t, blocks reads and writes: from statement 2 to the COMMIT"
    ]
    assert drawn.commit == pytest.approx(4 * drawn.columns[0].width)


def test_outside_of_a_transaction_a_row_has_a_bar_for_each_time() -> None:
    locks = [Lock(TABLE, "SHARE", 1, 1), Lock(OTHER, "SHARE", 2, 2), Lock(TABLE, "SHARE", 3, 3)]
    drawn = of(*locks, transactional=False)
    assert drawn.commit is None
    assert bars(drawn) == [("SHARE", "public.t", [(0, 1), (2, 3)]), ("SHARE", "public.u", [(1, 2)])]
    assert str(drawn.rows[0]) == "SHARE on t, blocks writes: during statement 1, during statement 3"


def test_backfill_has_no_commit_that_ends_all() -> None:
    made = replace(sheets.bad(), batched=True)
    assert timeline(made, {}).commit is None
    assert words.shape(made) == "2 statements, run as many short transactions"


def test_lock_that_blocks_nothing_more_than_a_stronger_one_is_left_out() -> None:
    strong = Lock(TABLE, "ACCESS EXCLUSIVE", 2, 4)
    before, after, third = Lock(TABLE, "SHARE", 1, 4), Lock(TABLE, "SHARE", 3, 4), Lock(OTHER, "SHARE", 3, 4)
    assert [row.bars[0].lock for row in of(before, strong, after, third).rows] == [before, strong, third]


def test_error_ends_every_lock_of_a_transaction() -> None:
    made = sheets.failed()
    drawn = timeline(replace(made, locks=(Lock(TABLE, "ACCESS EXCLUSIVE", 1, 5),)), {2: ERROR})
    assert drawn.commit is None
    assert bars(drawn) == [("ACCESS EXCLUSIVE", "public.t", [(0, 2)])]
    assert "COMMIT" not in str(drawn.rows[0])
    assert [(column.run.numbers, column.run.state == NOT_REACHED, column.mark) for column in drawn.columns] == [
        ("1", False, None), ("2", False, ERROR), ("3", True, None), ("4", True, None), ("5", True, None),
    ]  # fmt: skip


def test_work_under_a_strong_lock_is_marked_in_its_bar() -> None:
    drawn = timeline(sheets.bad(), {})
    alter, update = drawn.columns
    assert (alter.work, update.work) == ((), ("scan", "2,700 rows"))
    [row] = drawn.rows
    assert row.bars[0].busy == ((update.left, update.width),)


def test_statements_alike_are_one_column() -> None:
    drawn = timeline(sheets.long(20_000), {})
    assert [column.run.numbers for column in drawn.columns] == ["1", "2\N{EN DASH}19999", "20000"]
    assert drawn.columns[1].work == ("19,998 rows",)
    # The comment's own lock blocks nothing that the first statement's doesn't.
    assert bars(drawn) == [("ACCESS EXCLUSIVE", "public.words", [(0, 3 + COMMIT)])]


def test_strongest_locks_are_drawn_and_the_rest_counted() -> None:
    weak = [Lock(Relation(f"public.w{i}", "table", True), "SHARE", 1, 4) for i in range(MOST_ROWS)]
    strong = [Lock(Relation(f"public.s{i}", "table", True), "ACCESS EXCLUSIVE", 2, 4) for i in range(10)]
    drawn = of(*weak, *strong)
    assert len(drawn.rows) == MOST_ROWS
    assert drawn.left_out == 10
    assert {row.relation.name for row in drawn.rows} > {lock.relation.name for lock in strong}


def test_what_the_migration_made_itself_is_not_drawn() -> None:
    assert of(Lock(Relation("public.n", "table", existed=False), "ACCESS EXCLUSIVE", 1, 4)).rows == ()


def test_sheet_without_statements_has_an_empty_timeline() -> None:
    empty = Sheet("0001_a", sheets.path("0001_a"), "", True, ())
    assert timeline(empty, {}) == Timeline((), (), 0, 0)


def test_work_of_an_index_build_and_a_rewrite_is_named() -> None:
    work = Work(rewritten=(TABLE,), built=(TABLE,), scanned=(TABLE,))
    made = replace(sheets.clean(), statements=(ObservedStatement(1, 1, "VACUUM FULL t", "VACUUM t", work=work),))
    assert timeline(made, {}).columns[0].work == ("rewrite", "index", "scan")
