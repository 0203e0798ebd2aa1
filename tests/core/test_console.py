"""What a person sees: progress, tables, times."""

import pytest

from pgyoyo.console import Console, table
from pgyoyo.migrations.status import Progress
from pgyoyo.units import count_words, number, several, size_words, time_words


def test_progress_is_one_line_written_over_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    console = Console()
    for elapsed in (0.4, 1.1, 1.6, 2.2):
        console.progress("apply 0007_x", elapsed)
    console.ran("applied", "0007_x", 2300)
    shown = capsys.readouterr()
    assert shown.err == "\r\033[Kapply 0007_x … 1 s\r\033[Kapply 0007_x … 2 s\r\033[K"
    assert shown.out == "applied 0007_x (2.3 s)\n"


def test_progress_is_plain_lines_now_and_then_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for elapsed in range(130):
        console.progress("apply 0007_x", float(elapsed))
    assert capsys.readouterr().err == "apply 0007_x … 60 s\napply 0007_x … 120 s\n"


def test_backfill_shows_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    times = iter([100.0, 100.1, 100.3, 100.4])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    console = Console()
    for rows in (100, 200, 300, 400):
        progress = Progress("0005_x", "h", rows, 3, 2.0, rows / 1000, 0.0, running=True)
        console.backfill("0005_x", progress.fraction, str(progress))
    shown = capsys.readouterr()
    assert shown.err == "\r\033[K0005_x ██████░░░░░░░░░░░░░░ 30%  300 rows  150 rows/s  4.7 s left"


def test_backfill_is_a_line_now_and_then_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([100.0, 104.0, 105.5, 107.0, 111.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    console = Console()
    for rows in (1000, 2000, 3000, 4000, 5000):
        progress = Progress("0005_x", "h", rows, 3, 2.0, 0.5, 0.0, running=True)
        console.backfill("0005_x", 0.5, f"{progress}  waiting: x")
    assert capsys.readouterr().err == (
        "0005_x: 50%  3,000 rows  1,500 rows/s  2.0 s left  waiting: x\n"
        "0005_x: 50%  5,000 rows  2,500 rows/s  2.0 s left  waiting: x\n"
    )


def test_quiet_leaves_out_all_but_warnings_and_answers(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.progress("apply 0007_x", 99.0)
    console.note("waiting")
    console.ran("applied", "0007_x", 1)
    console.warn("look here")
    console.answer("the plan")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("the plan\n", "warning: look here\n")


@pytest.mark.parametrize(
    ("no_color", "shown"), [("", "\033[32mapplied\033[0m x (1 ms)\n"), ("1", "applied x (1 ms)\n")]
)
def test_color_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str, shown: str
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    Console().ran("applied", "x", 1)
    assert capsys.readouterr().out == shown


def test_long_result_is_cut_and_says_so() -> None:
    lines = table(["n", "word"], [(str(n), None if n else "a\nb") for n in range(20)], total=25)
    assert lines[:3] == ["n  | word", "---+-----", "0  | a⏎b"]
    assert lines[-1] == "… and 5 more rows"


def test_times_and_lists_read_as_a_person_says_them() -> None:
    assert [time_words(t) for t in (0.4, 999, 1500, 61_000)] == ["0 ms", "999 ms", "1.5 s", "1 min 1 s"]
    sizes = (0, 999, 1024, 12_800_000, 6_657_199_309, 5 << 40)
    assert [size_words(size) for size in sizes] == ["0 bytes", "999 bytes", "1 kB", "12.2 MB", "6.2 GB", "5.0 TB"]
    assert [number(*pair) for pair in ((1, "row"), (2700, "row"), (4, "index"))] == ["1 row", "2,700 rows", "4 indexes"]
    assert [count_words(count) for count in (2700, 48_000_000, 1_500_000_000)] == ["2,700", "48 million", "1.5 billion"]
    assert [several(ids) for ids in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a and 2 more"]


ESCAPES = "\x1b[2J\x1b]52;c;x\x07 \x9b2J \u202e \u200b"


def test_no_text_from_elsewhere_is_obeyed_by_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    clock = iter([100.0, 101.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    console = Console(verbose=True)
    table = ((ESCAPES, "b"), ((ESCAPES, None),), 1)
    console.ran("applied", ESCAPES, 1, title=ESCAPES, notices=[ESCAPES], tables=[table])
    for show in (console.result, console.answer, console.data, console.note, console.warn, console.step):
        show(ESCAPES)
    console.lines([ESCAPES, f"{ESCAPES}\n{ESCAPES}"], keep=True)
    console.progress(ESCAPES, 5.0)
    console.backfill(ESCAPES, 0.5, ESCAPES)
    console.backfill(ESCAPES, 0.5, ESCAPES)
    console.data(f"{{}}{ESCAPES}")
    shown = "".join(capsys.readouterr())
    ours = shown.replace("\r\033[K", "").replace("\033[32mapplied\033[0m", "")
    assert ours != shown
    assert not [char for char in ours if char in "\x1b\x07\x9b\u202e\u200b\r"]
    assert shown.count(r"\x1b[2J\x1b]52;c;x\x07 \x9b2J \u202e \u200b") >= 15


def test_what_another_program_reads_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    Console().data(f"COPY t FROM stdin;\na\tb {ESCAPES}\n\\.")
    assert capsys.readouterr().out == f"COPY t FROM stdin;\na\tb {ESCAPES}\n\\.\n"


def test_tables_of_odd_text_are_aligned() -> None:
    lines = table(("a\tb", "c"), (("1\n2", None), ("\x07", "x" * 5)), 4)
    assert lines == ["a\\tb | c", "-----+------", "1⏎2  |", "\\x07 | xxxxx", "… and 2 more rows"]
