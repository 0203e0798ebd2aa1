"""What fills the advice of a rule comes from the statement itself, in words that PostgreSQL's parser takes."""

import tomllib
from pathlib import Path

from pgyoyo.review.advice_words import words
from pgyoyo.review.rulebook import NEXT, Place, rulebook
from pgyoyo.sql import parser, tree

CASES = tomllib.loads(Path(__file__).with_name("advice.toml").read_text(encoding="utf-8"))["case"]


def test_advice_names_what_the_statement_names() -> None:
    for case in CASES:
        filled = {**words(case["rule"], case["statement"], "t"), "table": "t", "bare_table": "t"}
        safer = rulebook()[case["rule"]].safer(Place(), filled)
        assert case["advice"] in safer
        for step in safer.split(NEXT) if "…" not in safer else ():
            script = parser.parse(step.encode())
            assert all(tree.parse(script.text(each).decode()) is not None for each in script.statements)


def test_advice_without_a_table_leaves_a_hole() -> None:
    finding = rulebook()["sequence-restarts"].finding(Path("x.sql"), 1, 1, "it is set back")
    assert finding.workaround.endswith("FROM …;")
    assert "of the table" in rulebook()["cascade-changes-many"].finding(Path("x.sql"), 1, 1, "it takes more").workaround
