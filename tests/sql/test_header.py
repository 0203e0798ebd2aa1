"""The header: what counts as a directive, what is said of one that is wrong, and that yoyo reads the same."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from yoyo.migrations import parse_metadata_from_sql_comments

from pgyoyo.sql import header
from pgyoyo.sql.header import KNOWN, Batched, Header, parse
from pgyoyo.sql.lexer import leading_comments_end


def read(*lines: str, rollback: bool = False) -> Header:
    found, faults = parse("\n".join(lines), rollback=rollback)
    assert faults == []
    return found


def faults(*lines: str, rollback: bool = False) -> list[header.Fault]:
    return parse("\n".join(lines), rollback=rollback)[1]


# --- Directives ---


def test_header_of_nothing_is_the_default() -> None:
    assert read() == Header(title="", depends=(), transactional=True)


def test_every_directive_gets_its_value() -> None:
    assert read(
        "-- Add a grade.",
        "--",
        "-- depends: 0001_a 0002_b",
        "-- transactional: false",
        "-- lock-timeout: 2s",
        "-- statement-timeout: 0",
        "-- backfill: batched, target 50ms",
        "-- phase: expand",
    ) == Header("Add a grade.", ("0001_a", "0002_b"), False, 2000, 0, Batched(50), phase="expand")
    assert read("-- lossy: drops the grades", "-- transactional: TRUE", rollback=True) == Header(
        lossy="drops the grades"
    )
    assert read("-- irreversible: mail was sent: 3 of them", rollback=True).irreversible == "mail was sent: 3 of them"


def test_depends_may_be_spread_over_lines_and_be_empty() -> None:
    assert read("-- depends: a", "-- depends:", "-- depends: \t b  c").depends == ("a", "b", "c")


@pytest.mark.parametrize("line", ["--depends:a", "  --   depends  :   a  ", "\t--\tdepends:\ta\t", "-- depends: a\r"])
def test_blanks_around_a_directive_do_not_count(line: str) -> None:
    assert read(line).depends == ("a",)


@pytest.mark.parametrize(
    "line", ["---- depends: a", "# depends: a", "-- depends a", "-- it depends: on a", "depends: a"]
)
def test_what_yoyo_takes_for_no_directive_is_none(line: str) -> None:
    assert parse_metadata_from_sql_comments(line)[0] == {}
    assert read(line).depends == ()


def test_title_is_the_first_prose_line_wherever_it_stands() -> None:
    assert read("", "--", "-- depends: a", "-- Note: the first words").title == "Note: the first words"


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("0", 0), ("250", 250), ("250ms", 250), ("5s", 5000), ("5 s", 5000), ("2min", 120_000), ("1h", 3_600_000),
     ("2147483647", 2**31 - 1), ("596h", 2_145_600_000)],
)  # fmt: skip
def test_durations_are_read_as_milliseconds(text: str, milliseconds: int) -> None:
    assert read(f"-- lock-timeout: {text}").lock_timeout == milliseconds
    assert read(f"-- statement-timeout: {text}").statement_timeout == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1", "1.5s", "5 sec", "5S", "1d", "1s 5ms", "\u0665s", "2147483648", "597h", "9" * 5000],
)
def test_time_that_postgresql_does_not_take_is_a_fault(text: str) -> None:
    for name in ("lock-timeout", "statement-timeout"):
        [(line, message)] = faults("-- Title.", f"-- {name}: {text}")
        assert line == 2
        assert message.startswith(f'{name} is "{text}"; write a time such as 500ms, 5s')


@pytest.mark.parametrize("value", ["", "no", "1", "off", "false false", "false;"])
def test_transactional_is_true_or_false(value: str) -> None:
    assert faults(f"-- transactional: {value}") == [(1, f'transactional is "{value}"; it must be true or false')]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("batched", Batched()),
        ("batched,target  2s", Batched(2000)),
        ("batched, triggers skip", Batched(None, "skip")),
        ("batched, functions fire, triggers fire", Batched(None, "fire", "fire")),
        ("batched, triggers fire , target 5 ms", Batched(5, "fire")),
    ],
)
def test_backfill_says_how_long_a_batch_lasts_and_what_triggers_do(value: str, meant: Batched) -> None:
    assert read(f"-- backfill: {value}").backfill == meant


@pytest.mark.parametrize(
    "value",
    ["", "yes", "batched, 50ms", "batched, target 50", "batched target 50ms", "batched, target 0ms", "batched, target 61s",
     "batched, target 1s, target 2s", "batched, triggers", "batched,"],
)  # fmt: skip
def test_other_words_for_a_backfill_are_a_fault(value: str) -> None:
    [(line, message)] = faults(f"-- backfill: {value}")
    assert line == 1
    assert message.startswith(f'backfill is "{value}"; write "batched", then, separated by commas, "target 50ms"')


# --- Faults ---


def edits(word: str) -> st.SearchStrategy[str]:
    """The word with one letter more, less, or another, or with two neighbours swapped."""
    letters = st.sampled_from("abcdefghijklmnopqrstuvwxyz")
    places = st.integers(1, len(word) - 1)
    return st.one_of(
        st.builds(lambda i, c: word[:i] + c + word[i:], places, letters),
        st.builds(lambda i: word[:i] + word[i + 1 :], places),
        st.builds(lambda i, c: word[:i] + c + word[i + 1 :], places, letters),
        st.builds(lambda i: word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :], places),
    )


@settings(deadline=None)
@given(data=st.data(), known=st.sampled_from(KNOWN))
def test_directive_one_slip_away_is_a_fault_that_names_it(data: st.DataObject, known: str) -> None:
    word = data.draw(edits(known))
    assume(word not in KNOWN)
    for spelt in (word, word.upper(), word.capitalize(), word.replace("-", "_")):
        [(line, message)] = faults("--", f"-- {spelt}: expand")
        assert (line, message) == (2, f'unknown header "{spelt}"; did you mean {known}?')


@pytest.mark.parametrize("known", KNOWN)
def test_directive_in_another_case_is_a_fault(known: str) -> None:
    for spelt in (known.upper(), known.capitalize()):
        assert faults(f"-- {spelt}: expand") == [(1, f'unknown header "{spelt}"; did you mean {known}?')]


def test_directive_two_slips_away_is_a_fault_but_not_for_a_short_one() -> None:
    assert faults("-- dpnds: a") == [(1, 'unknown header "dpnds"; did you mean depends?')]
    assert faults("-- lock_timeuot: 1s") == [(1, 'unknown header "lock_timeuot"; did you mean lock-timeout?')]
    assert faults("-- glass: full", rollback=True) == []


@pytest.mark.parametrize(
    "word",
    [
        "Note",
        "TODO",
        "Author",
        "Date",
        "Why",
        "See",
        "Reviewed",
        "Warning",
        "Lock",
        "Timeout",
        "Because",
        "Trans",
        "Transact",
        "Default",
        "Lost",
        "Dependencies",
        "Reversed",
        "Backlog",
        "Goss",
    ],
)
def test_prose_with_a_colon_is_no_directive(word: str) -> None:
    for rollback in (False, True):
        assert read(f"-- {word}: this stays prose: https://example.org", rollback=rollback).title.startswith(word)


def test_all_faults_of_a_file_are_told_with_their_lines() -> None:
    told = faults("-- Depends: a", "-- Title: x", "", "-- transactional: 1", "-- lossy: y", "-- transactional: true")
    assert [(line, message.split(";")[0]) for line, message in sorted(told)] == [
        (1, 'unknown header "Depends"'),
        (4, 'transactional is "1"'),
        (5, "lossy has no meaning here"),
        (6, "transactional is given twice (first on line 4)"),
    ]


def test_directive_of_the_other_file_is_a_fault() -> None:
    assert "belongs in the migration's own file" in faults("-- backfill: x", rollback=True)[0][1]
    for name in ("lossy", "irreversible"):
        assert "belongs in the rollback file" in faults(f"-- {name}: x")[0][1]


@pytest.mark.parametrize(
    "block",
    [["/* one */"], ["/* two", "   lines */"], ["/*", "-- depends: a", "*/"], ["/* /* nested */", "*/ -- and more /*"]],
)
def test_directive_in_or_after_a_block_comment_is_a_fault_as_yoyo_would_not_see_it(block: list[str]) -> None:
    lines = [*block, "-- transactional: false"]
    assert parse_metadata_from_sql_comments("\n".join(lines))[0] == {}
    assert faults(*lines)[-1] == (
        len(lines), "transactional comes after a /* */ comment, where yoyo does not read it; move it above",
    )  # fmt: skip


def test_comment_marks_in_a_line_comment_begin_no_block() -> None:
    assert read("-- all of sql/*.sql", "-- depends: a").depends == ("a",)


# --- Lines ---


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_counts_as_one_line(ending: str) -> None:
    told = parse(ending.join(["-- Title.", "--", "-- depends: a", "-- transactional: x", ""]), rollback=False)
    assert told[0].depends == ("a",)
    assert told[0].title == "Title."
    assert [line for line, _ in told[1]] == [4]


@pytest.mark.parametrize("char", "\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_what_only_python_takes_for_a_line_end_ends_no_comment(char: str) -> None:
    found, told = parse(f"-- a{char}-- depends: a\n-- transactional: x", rollback=False)
    assert found.depends == ()
    assert [line for line, _ in told] == [2]


# --- Any text, and yoyo ---


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("-/*: \t\r\ndepnstralockimu0123456789é\u2028")), st.booleans())
@example("-- lock-timeout: " + "9" * 5000, False)
@example("/*", False)
def test_any_text_gives_a_header_and_faults_with_lines_of_the_text(text: str, rollback: bool) -> None:
    found, told = parse(text, rollback=rollback)
    assert isinstance(found, Header)
    assert all(1 <= line <= text.count("\n") + text.count("\r") + 1 and message for line, message in told)


WORDS = st.sampled_from(
    [
        "depends",
        "transactional",
        "Depends",
        "depend",
        "lock-timeout",
        "Note",
        "backfill",
        "lossy",
        "note::cast",
        "depends:",
    ]
)
VALUES = st.one_of(
    st.sampled_from(["true", "FALSE", " false ", "a", "a b", "a  a", "\tb\u00a0c", "", ":x", "1s", "batched"]),
    st.text(max_size=8),
)
COLONS = st.sampled_from([":", " :", ": ", "\t: ", "::", ""])
LINES = st.one_of(
    st.builds(lambda dash, word, colon, value: f"{dash}{word}{colon}{value}",
              st.sampled_from(["--", "-- ", " --\t", "---", "--- "]), WORDS, COLONS, VALUES),
    st.sampled_from(["", "  ", "--", "-- prose", "/* block */", "/* open", "*/", "-- /*", "\f", "-- a\u2028-- depends: z"]),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(LINES, max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_yoyo_reads_the_same_wherever_no_fault_is_found(lines: list[str], ending: str, with_sql: bool) -> None:
    text = ending.join([*lines, "SELECT 1;" if with_sql else ""])
    data = text.encode(errors="ignore")
    comments = data[: leading_comments_end(data)].decode()
    found, told = parse(comments, rollback=False)
    assume(not told)
    # yoyo opens files with universal newlines.
    directives, _, _ = parse_metadata_from_sql_comments(data.decode().replace("\r\n", "\n").replace("\r", "\n"))
    assert directives.get("transactional", "true").strip().lower() == str(found.transactional).lower()
    assert set(directives.get("depends", "").split()) == set(found.depends)


@pytest.mark.parametrize(
    "line", ["-- Phase: 2 of the move", "-- Phases: three", "-- phrase: a word", "-- Phase 1: tables"]
)
def test_prose_about_phases_is_prose(line: str) -> None:
    assert read(line).phase == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-- phase: 2", 'phase is "2"; it must be expand or contract'),
        ("-- phase: Expand", 'phase is "Expand"; it must be expand or contract'),
        ("-- phase:", 'phase is ""; it must be expand or contract'),
        ("-- Phase: contract", 'unknown header "Phase"; did you mean phase?'),
        ("-- phases: expnd", 'unknown header "phases"; did you mean phase?'),
    ],
)
def test_phase_that_is_wrong_is_a_fault(line: str, words: str) -> None:
    assert faults(line) == [(1, words)]


def test_rollback_file_has_no_phase() -> None:
    assert faults("-- phase: expand", rollback=True) == [
        (1, "phase has no meaning here; it belongs in the migration's own file")
    ]
