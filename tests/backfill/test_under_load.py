"""The benchmark's machinery on a hundred thousand rows: under load every row is right in the end, however it is filled.

Times are for `make bench-backfill`; here rows and pages are counted.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import waits

import backfill
from pgyoyo.server.postgres import EmbeddedServer

ROWS = 100_000


@pytest.fixture(scope="module")
def bench(own_server: EmbeddedServer) -> Iterator[backfill.Bench]:
    with backfill.Bench(own_server.conninfo("postgres"), ROWS) as one:
        yield one


def test_batches_leave_what_one_update_leaves_and_a_table_that_hardly_grew(bench: backfill.Bench) -> None:
    runs = [bench.run(name) for name in ("naive", "batched")]
    for run in runs:
        assert (run.wrong, run.touched, run.lost) == (0, 0, 0), run.name
        assert {kind for kind, _, _ in run.waits} == {"read", "write"}
    naive, batched = runs
    assert any(f"{ROWS:,} rows in" in line for line in batched.account)
    assert batched.heap < 0.85 * naive.heap
    assert batched.indexes < 0.85 * naive.indexes
    text = backfill.table(ROWS, runs)
    assert backfill.RUNS["naive"][0] in text
    picture = waits.svg(ROWS, {run.name: (run.seconds, run.waits) for run in runs})
    assert picture.count("<svg") == picture.count("</svg>") == 1


def test_killed_runners_lose_nothing_and_do_nothing_twice(bench: backfill.Bench) -> None:
    found = bench.kill(2, seed=1, target="50ms", pause="10%")
    assert found.hits == 2
    assert found.copies == 1 + found.misses
    assert (found.wrong, found.touched, found.lost) == (0, 0, 0)
