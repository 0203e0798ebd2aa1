"""DELETE and INSERT … SELECT: what is accepted and what refused, and that the author's text is all that a batch has."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgyoyo.sql import parser, tree
from pgyoyo.sql.batched import Batched, RefusedError
from pgyoyo.sql.batched_file import statements

FIRST = "{ctid} >= '(0,0)' AND {ctid} < '(64,0)'"


def of(text: str) -> tuple[tuple[Batched, ...], ...]:
    return statements(parser.parse(text.encode()))


REFUSED = {
    "DELETE FROM t": "it has no WHERE; TRUNCATE",
    "DELETE FROM t WHERE random() < 0.5": "its WHERE calls random()",
    "DELETE FROM t WHERE a = 1 RETURNING a": "it has a RETURNING",
    "DELETE FROM t WHERE CURRENT OF c": "WHERE CURRENT OF",
    "DELETE FROM t USING t b WHERE t.k = b.k AND t.id > b.id": "it reads t besides deleting from it",
    "WITH x AS (SELECT 1) DELETE FROM t WHERE a = 1": "it has a WITH",
    "DELETE FROM t WHERE": "not a DELETE that the parser can read",
    "INSERT INTO n VALUES (1) ON CONFLICT DO NOTHING": "it has VALUES",
    "INSERT INTO n DEFAULT VALUES ON CONFLICT DO NOTHING": "it inserts no plain SELECT",
    "INSERT INTO n SELECT a FROM t": "write ON CONFLICT DO NOTHING, or NOT EXISTS",
    "INSERT INTO n SELECT 1 ON CONFLICT DO NOTHING": "its FROM has no table",
    "INSERT INTO n SELECT a FROM t ON CONFLICT (a) DO UPDATE SET a = 1": "it has ON CONFLICT DO UPDATE",
    "INSERT INTO n SELECT a FROM t ON CONFLICT (lower(a)) DO NOTHING": "its ON CONFLICT names an expression",
    "INSERT INTO n SELECT a FROM t ON CONFLICT (a) WHERE a > 1 DO NOTHING": "names an expression or has a WHERE",
    "INSERT INTO n SELECT a FROM t UNION SELECT a FROM u ON CONFLICT DO NOTHING": "it inserts no plain SELECT",
    "INSERT INTO n SELECT max(a) FROM t GROUP BY b ON CONFLICT DO NOTHING": "it has a GROUP BY",
    "INSERT INTO n SELECT count(*) FROM t ON CONFLICT DO NOTHING": "it calls count(…)",
    "INSERT INTO n SELECT row_number() OVER (ORDER BY a) FROM t ON CONFLICT DO NOTHING": "it calls row_number(…)",
    "INSERT INTO n SELECT a FROM t ORDER BY a ON CONFLICT DO NOTHING": "it has an ORDER BY",
    "INSERT INTO n SELECT a FROM t LIMIT 5 ON CONFLICT DO NOTHING": "it has a LIMIT",
    "INSERT INTO n SELECT DISTINCT ON (a) a FROM t ON CONFLICT DO NOTHING": "it has a DISTINCT ON",
    "INSERT INTO n SELECT a FROM t FOR UPDATE ON CONFLICT DO NOTHING": "it has a FOR UPDATE",
    "INSERT INTO n SELECT a FROM n ON CONFLICT DO NOTHING": "it reads n besides inserting into it",
    "INSERT INTO n SELECT a FROM t WHERE random() < 0.5 ON CONFLICT DO NOTHING": "its WHERE calls random()",
    "INSERT INTO n SELECT t.a FROM t FULL JOIN u ON t.a = u.a ON CONFLICT DO NOTHING": "its FROM has no table",
    "INSERT INTO n (a) SELECT t.a + 1 FROM t WHERE NOT EXISTS (SELECT FROM n WHERE n.a = t.a)": "can't be shown to be false",
    "INSERT INTO n (a) SELECT t.a FROM t WHERE NOT EXISTS (SELECT FROM n WHERE n.a = t.a AND n.b > 5)": "can't be shown",
    "INSERT INTO n (a) SELECT t.a FROM t WHERE NOT EXISTS (SELECT FROM u WHERE u.a = t.a)": "write ON CONFLICT DO NOTHING",
    "INSERT INTO n (a) SELECT a FROM t ON CONFLICT DO NOTHING RETURNING a": "it has a RETURNING",
    "INSERT INTO n TABLE t ON CONFLICT DO NOTHING": "its query is in parentheses or a TABLE",
    "INSERT INTO n (SELECT a FROM t) ON CONFLICT DO NOTHING": "its query is in parentheses or a TABLE",
    "INSERT INTO n SELECT a FROM t TABLESAMPLE SYSTEM (5) ON CONFLICT DO NOTHING": "its FROM has no table",
    "INSERT INTO n SELECT a FROM f(1) ON CONFLICT DO NOTHING": "its FROM has no table",
    "DELETE FROM t WHERE a = 1; TRUNCATE t": "TRUNCATE t in a file with",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:70])
def test_what_can_not_be_cut_in_batches_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        of(text)
    assert REFUSED[text] in caught.value.reason


WALKED = {
    "INSERT INTO n SELECT t.a FROM t JOIN u USING (a) ON CONFLICT DO NOTHING": ["t", "u"],
    "INSERT INTO n SELECT t.a FROM t LEFT JOIN u USING (a) ON CONFLICT DO NOTHING": ["t"],
    "INSERT INTO n SELECT t.a FROM v, t RIGHT JOIN (w CROSS JOIN x) ON t.a = w.a ON CONFLICT DO NOTHING": ["v", "w", "x"],
    "INSERT INTO n SELECT t.a FROM t, LATERAL (SELECT * FROM u) q ON CONFLICT DO NOTHING": ["t"],
    "INSERT INTO n SELECT j.a FROM (t JOIN u USING (a)) AS j, w ON CONFLICT DO NOTHING": ["w"],
}  # fmt: skip


@pytest.mark.parametrize("text", WALKED)
def test_tables_that_no_outer_join_extends_may_be_walked(text: str) -> None:
    [choices] = of(text)
    assert [choice.table for choice in choices] == WALKED[text]
    for choice in choices:
        for member in (None, 's."P 1"'):
            assert tree.kind(tree.parse(choice.batch(FIRST, member=member, waiting=True))) == "InsertStmt"


def test_statements_stand_in_the_order_of_the_file() -> None:
    insert = "INSERT INTO n SELECT a FROM t ON CONFLICT DO NOTHING"
    every = of(f"DELETE FROM a WHERE b = 1;\n{insert};\nUPDATE u SET a = 1 WHERE a IS NULL")
    assert [(choices[0].VERB, choices[0].line) for choices in every] == [("delete", 1), ("insert", 2), ("update", 3)]


WORDS = st.sampled_from(
    ["DELETE", "t", "u", "USING", "WHERE", "FROM", "b", "a", "=", "IS", "NULL", "NOT", "AND", "OR", "(", ")", "1", "'x'",
     "DISTINCT", ",", "-- c\n", "/* WHERE */", "$$ WHERE $$", "é", '"WHERE"', "JOIN", "ON", "now()", "ONLY", "AS", "[1]",
     "SELECT", "EXISTS", "CONFLICT", "CROSS", ";", "s.t", "*"]
)  # fmt: skip
TAILS = st.lists(WORDS, max_size=12).map(" ".join)


@settings(deadline=None, max_examples=150)
@given(first=TAILS, second=TAILS, waiting=st.booleans(), member=st.sampled_from([None, "s.m"]))
def test_any_text_gives_a_batch_that_the_parser_knows_or_a_refusal(
    first: str, second: str, waiting: bool, member: str | None
) -> None:
    for text in (
        f"DELETE FROM t {first} WHERE a = 1 {second}",
        f"INSERT INTO n SELECT a {first} FROM s.t {second} ON CONFLICT DO NOTHING",
        f"INSERT INTO n (a) SELECT t.a FROM t {first} WHERE a = 1 AND {second} ON CONFLICT (a) DO NOTHING",
    ):
        try:
            batches = [
                choice.batch(FIRST, member=member, waiting=waiting) for [*choices] in of(text) for choice in choices
            ]
        except RefusedError:
            continue
        assert all(tree.parse(batch) is not None for batch in batches)
