"""Estimates: ranges from sizes and rates, what waits meanwhile, and the exit code that they give."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import sheets
import staging
from pgyoyo.review import calibrate, estimate, sizes
from pgyoyo.review.estimate import Rates
from pgyoyo.review.render import phrases
from pgyoyo.review.sheet import LiveTable, Lock, ObservedStatement, Relation, Rows, Sheet, Work
from pgyoyo.review.spans import Span
from pgyoyo.review.trial import Point, ScaleTrial
from pgyoyo.units import DASH, size_span, time_span

MB = 1 << 20
RATES = Rates(scan=Span(1e-9, 2e-9), rewrite=Span(1e-8, 2e-8), build=Span(1e-6, 2e-6), change=Span(5e-6, 1e-5))
EVENTS = Relation("public.events", "table", existed=True)
KINDS = Relation("public.kinds", "table", existed=True)
INDEX = Relation("public.events_idx", "index", existed=False, table="public.events")
LIVE = {
    "public.events": LiveTable(10_000_000, 1000 * MB, 2, 400 * MB, None, None),
    "public.kinds": LiveTable(20, 8192, 1, 16384, None, None),
}
BIGGER = {"public.events": LiveTable(100_000_000, 10_000 * MB, 2, 4000 * MB, None, None)}
WORKS = {
    "scan": Work(scanned=(EVENTS,)),
    "rewrite": Work(rewritten=(EVENTS,), scanned=(EVENTS,)),
    "build": Work(built=(INDEX,), scanned=(EVENTS,)),
    "update": Work(growing=(Rows(EVENTS, 0, 400, 0),), scanned=(EVENTS,)),
    "delete": Work(growing=(Rows(EVENTS, 0, 0, 400),)),
}


def of(work: Work, number: int = 1, **facts) -> ObservedStatement:
    return ObservedStatement(number, number, "…", "…", work=work, **facts)


@pytest.mark.parametrize("name", WORKS)
def test_estimate_is_a_range_that_grows_with_the_table(name: str) -> None:
    [few, many] = (estimate.estimate(of(WORKS[name]), live, RATES) for live in (LIVE, BIGGER))
    assert few
    assert many
    assert 0 < few.seconds.low < few.seconds.high
    assert many.seconds.low == pytest.approx(10 * few.seconds.low)
    assert many.written.high == pytest.approx(10 * few.written.high)
    assert few.rows == 10_000_000


def test_each_kind_of_work_has_its_own_rate_and_room() -> None:
    known = {name: estimate.estimate(of(work), LIVE, RATES) for name, work in WORKS.items()}
    seconds = {name: each.seconds.low for name, each in known.items() if each}
    assert seconds["scan"] == pytest.approx(1000 * MB * 1e-9 * estimate.FASTER)
    assert seconds["rewrite"] == pytest.approx((1000 * MB * 1e-8 + 2 * 10_000_000 * 1e-6) * estimate.FASTER)
    assert seconds["build"] == pytest.approx((1000 * MB * 1e-9 + 10_000_000 * 1e-6) * estimate.FASTER), (
        "the table is read once"
    )
    assert seconds["update"] == pytest.approx((1000 * MB * 1e-9 + 10_000_000 * 5e-6) * estimate.FASTER)
    room = {name: each.room for name, each in known.items() if each}
    assert room["rewrite"] == 1400 * MB, "the new files of the table and of its indexes, beside the old ones"
    assert 200 * MB <= room["build"] <= 400 * MB
    assert room["scan"] == room["delete"] == 0
    assert known["scan"] is not None
    assert known["scan"].written == Span(0, 0)
    assert known["build"] is not None
    # Seen with a million rows of two hundred keys: 6 MB.
    assert known["build"].written.low == 6 * 10_000_000


def test_what_triggers_cost_in_the_trial_is_in_the_estimate() -> None:
    points = (Point(100, 10.0, 0, ()), Point(400, 310.0, 0, ()))
    [plain, slow] = (of(WORKS["update"], trial=trial) for trial in (None, ScaleTrial(points)))
    [fast, long] = (estimate.estimate(each, LIVE, RATES) for each in (plain, slow))
    assert fast
    assert long
    assert long.seconds.high > 10_000_000 * 0.001 > fast.seconds.high


def test_lock_is_waited_for_from_its_statement_to_the_commit_and_partitions_wait_with_their_table() -> None:
    part = Relation("public.events_1", "table", existed=True, table="public.events")
    locks = (Lock(KINDS, "ACCESS EXCLUSIVE", 1, 3), Lock(EVENTS, "SHARE", 2, 3), Lock(part, "SHARE", 2, 3),
             Lock(EVENTS, "ACCESS EXCLUSIVE", 3, 3))  # fmt: skip
    statements = (of(Work(), 1), of(WORKS["build"], 2), of(WORKS["scan"], 3))
    sheet = Sheet("0001_x", sheets.path("0001_x"), "", True, statements, locks, live=LIVE)
    done = estimate.estimated(sheet, RATES)
    build, scan = (each.estimate.seconds for each in done.statements[1:] if each.estimate)
    waits = {(wait.table, wait.blocked): wait.seconds for wait in done.waits}
    assert waits == {
        ("public.kinds", "reads and writes"): build + scan,
        ("public.events", "reads and writes"): scan,
        ("public.events", "writes"): build + scan,
    }
    assert estimate.estimated(replace(sheet, batched=True), RATES).waits == ()
    lines = phrases.estimate_lines(done)
    assert lines[0].startswith(f"L2: {time_span(build.low, build.high)} on 10 million rows, writes ")
    assert f"reads and writes of kinds blocked for {time_span((build + scan).low, (build + scan).high)}" in lines
    assert phrases.estimate_lines(phrases.without_measures(sheets.review(done)).sheets[0]) == []


def test_table_of_unknown_size_is_named_and_one_without_work_has_no_estimate() -> None:
    statements = (of(WORKS["build"]), of(Work(scanned=(KINDS,)), 2), of(Work(), 3))
    sheet = Sheet("0001_x", sheets.path("0001_x"), "", True, statements, live={"public.kinds": LIVE["public.kinds"]})
    done = estimate.estimated(sheet, RATES)
    assert [each.estimate is None for each in done.statements] == [True, False, True]
    assert done.notes == ("not estimated: the size of events is not known",)
    assert estimate.needs_rates(sheet)
    assert not estimate.needs_rates(replace(sheet, live={}))


def test_rates_of_this_machine_are_ranges_above_zero(admin) -> None:
    rates = calibrate.rates(admin)
    for span in (rates.scan, rates.rewrite, rates.build, rates.change):
        assert 0 < span.low <= span.high


def test_review_fails_on_a_lock_that_may_be_held_too_long(tmp_path: Path, run_here, server_conninfo: str) -> None:
    staging.write(tmp_path / "sql", {
        "0001_events": ("CREATE TABLE events (id integer, kind text);", "-- lossy: all\nDROP TABLE events;"),
        "0002_index": ("CREATE INDEX events_idx ON events (kind);", "DROP INDEX events_idx;"),
    })  # fmt: skip
    big = LiveTable(4_000_000_000, 500_000 * MB, 0, 0, None, None)
    (tmp_path / "sizes.json").write_text(sizes.written(180000, {"public.events": big}))
    command = ["review", "--migrations", "sql", "--scratch", server_conninfo, "--fail-on", "never", "2"]
    refused = run_here(*command, "--fail-on-lock", "2s")
    assert (refused.code, "--fail-on-lock needs the sizes of the tables" in refused.err) == (2, True)
    command += ["--sizes", "sizes.json"]
    shown = run_here(*command, "--fail-on-lock", "2s")
    assert shown.code == 1
    assert "warning: 0002_index: writes of public.events blocked for " in shown.err
    assert "estimate  L1: " in shown.out
    assert "on 4.0 billion rows, writes " in shown.out
    done = run_here(*command, "--fail-on-lock", "100000h", "--format", "json")
    assert done.code == 0
    [migration] = json.loads(done.out)["migrations"]
    assert migration["statements"][0]["estimate"]["seconds"]["low"] > 1
    assert [wait["blocked"] for wait in migration["waits"]] == ["writes"]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (20, 60, "20-60 s"), (0.02, 0.05, "under 0.1 s"), (0.3, 0.9, "under 1 s"), (0.4, 3, "0.4-3 s"), (1, 1.01, "1 s"),
        (100, 2400, "1.7-40 min"), (5000, 90000, "1.4-25 h"), (0, 5, "0-5 s"), (4.4e7, 9.9e7, "12000-28000 h"),
    ],
)  # fmt: skip
def test_seconds_are_shown_in_two_digits(low: float, high: float, words: str) -> None:
    assert time_span(low, high).replace(DASH, "-") == words


@pytest.mark.parametrize(
    ("low", "high", "words"), [(20, 60, "20-60 bytes"), (1.2e9, 4e9, "1.1-3.7 GB"), (0, 2e6, "0-1.9 MB")]
)
def test_bytes_are_shown_in_two_digits(low: float, high: float, words: str) -> None:
    assert size_span(low, high).replace(DASH, "-") == words
