"""What is shown of text from elsewhere: no character of it reaches the terminal that could do or hide something."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgyoyo.text import escaped_json, for_log, hidden, printable, printable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]52;c;x\x07", r"\x1b[2J\x1b]52;c;x\x07"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("p\u200bay\ufeff\u00ad", r"p\u200bay\ufeff\xad"),
        ("a\u2028b\x85c\x0bd", r"a\u2028b\x85c\x0bd"),
        ("\U000e0041\udcff", r"\U000e0041\udcff"),
        ("ünï→😀 e\u0301 中文", "ünï→😀 e\u0301 中文"),
    ],
)
def test_unsafe_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == printable_line(text) == shown


def test_line_breaks_and_tabs_of_a_text_stay_and_those_of_a_name_are_escapes() -> None:
    assert printable("a\tb\r\nc\n") == "a    b\nc\n"
    assert printable_line("a\tb\r\nc\n") == r"a\tb\r\nc\n"


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("SELECT 1;\t-- ünï →\r\n\x0c", []),
        ("\ufeffSELECT 1; \U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e", []),
        ("SELECT 1;\ufeff", [(9, "\ufeff")]),
        ("a\u200db", [(1, "\u200d")]),
        ("é\u200b→ \u202e", [(1, "\u200b"), (4, "\u202e")]),
        ("-- nothing\rDROP TABLE a;", [(10, "\r")]),
        ("❤\ufe0f 1\ufe0f\u20e3 \u2764\ufe0e", []),
        ("a\ufe0f ❤\ufe01 ❤\ufe0f\ufe0e", [(1, "\ufe0f"), (4, "\ufe01"), (8, "\ufe0e")]),
        ("a\u2028b\x1b\U000e0041", [(1, "\u2028"), (3, "\x1b"), (4, "\U000e0041")]),
    ],
)
def test_hidden_characters_are_found_and_usual_ones_are_not(text: str, characters: list[tuple[int, str]]) -> None:
    assert list(hidden(text)) == characters


def test_escaped_json_is_the_same_value_without_an_unsafe_character() -> None:
    value = "\x7f\u202e\U000e0041\udcff\x1b→😀\n"
    text = escaped_json(json.dumps([value], ensure_ascii=False))
    assert (text, json.loads(text)) == (r'["\u007f\u202e\udb40\udc41\udcff\u001b→😀\n"]', [value])


def test_runner_of_ci_finds_no_command_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "id::int\n  ::stop-commands::x\n\r::error::y\na ##[group]b ##vso[task.x]c ## [d] #[e]"
    for runner in ("GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION"):
        monkeypatch.delenv(runner, raising=False)
    assert for_log(text) == text.replace("\r", "\\r")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert for_log(text) == ("id::int\n  : :stop-commands::x\n\\r::error::y\na # #[group]b # #vso[task.x]c ## [d] #[e]")


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L", "M", "P"])))
def test_nothing_invisible_is_left(text: str) -> None:
    for shown in (printable(text).replace("\n", ""), printable_line(text)):
        assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in shown)
        assert not [char for char in shown if unicodedata.bidirectional(char) in BIDI]
        shown.encode()


BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
