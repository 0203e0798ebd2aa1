"""The slice of an UPDATE: what is accepted and what refused, and that the author's text is all that the slice holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgyoyo.sql import parser, tree
from pgyoyo.sql.batched import RefusedError
from pgyoyo.sql.batched_file import statements
from pgyoyo.sql.update import BatchedUpdate

FIRST = "{ctid} >= '(0,0)' AND {ctid} < '(64,0)'"


def of(text: str) -> BatchedUpdate:
    [[update]] = statements(parser.parse(text.encode()))
    assert isinstance(update, BatchedUpdate)
    return update


def refusal(text: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        of(text)
    return caught.value


ACCEPTED = [
    "UPDATE t SET b = a WHERE b IS NULL",
    "UPDATE t SET b = a WHERE t.b IS NULL AND a > 5",
    "UPDATE t AS x SET b = a WHERE x.b IS NULL",
    "UPDATE t SET n = n + 1, done = true WHERE NOT done",
    "UPDATE t SET done = true WHERE done IS NOT TRUE",
    "UPDATE t SET done = false WHERE done",
    "UPDATE t SET s = 'new' WHERE s = 'old'",
    "UPDATE t SET s = 'new' WHERE s IN ('old', 'older')",
    "UPDATE t SET s = 'new' WHERE s = 'old' OR s IS NULL",
    "UPDATE t SET s = 'new' WHERE s <> 'new'",
    "UPDATE t SET v = 2 WHERE v = -1",
    "UPDATE t SET s = lower(e) WHERE s IS DISTINCT FROM lower(e)",
    "UPDATE t SET s = NULL WHERE s IS NOT NULL",
    "UPDATE t SET b = coalesce(a, c, 0) WHERE b IS NULL",
    "UPDATE t SET b = CASE WHEN a > 1 THEN 1 ELSE 2 END WHERE b IS NULL",
    "UPDATE t SET b = now() WHERE b IS NULL",
    "UPDATE t SET b = u.v FROM u JOIN w ON w.id = u.id WHERE t.b IS NULL AND u.id = t.id",
    "UPDATE t SET b = (SELECT max(v) FROM u WHERE u.id = t.id) WHERE b IS NULL",
    "UPDATE ONLY (s.t) SET b = a IS DISTINCT FROM c WHERE b IS NULL",
    "BEGIN; UPDATE t SET b = a WHERE b IS NULL; COMMIT",
]


@pytest.mark.parametrize("text", ACCEPTED)
@pytest.mark.parametrize("member", [None, 's."Leaf"'])
@pytest.mark.parametrize("waiting", [True, False])
def test_slice_is_the_authors_update_with_one_condition_more(text: str, member: str | None, waiting: bool) -> None:
    one = of(text)
    batch = one.batch(FIRST, member=member, waiting=waiting)
    for part in (one.head, one.assignments, one.from_clause, one.condition):
        assert part in batch
    assert ("SKIP LOCKED" in batch) is not waiting
    assert tree.kind(tree.parse(batch)) == "UpdateStmt"


REFUSED = {
    "UPDATE t SET n = n + 1": "it has no WHERE",
    "UPDATE t SET n = n + 1 WHERE id > 5": "its WHERE can't be shown to be false",
    "UPDATE t SET b = a WHERE b IS NULL OR c IS NULL": "can't be shown",
    "UPDATE t SET b = NULL WHERE b IS NULL": "can't be shown",
    "UPDATE t SET b = a WHERE c IS NULL": "can't be shown",
    "UPDATE t SET b = a FROM u WHERE u.b IS NULL AND t.id = u.id": "can't be shown",
    "UPDATE t SET s = 'A' WHERE s = 'a'": "can't be shown",
    "UPDATE t SET v = 1.0 WHERE v = 1": "can't be shown",
    "UPDATE t SET at = now() WHERE at IS DISTINCT FROM now()": "can't be shown",
    "UPDATE t SET c = c + 1 WHERE c IS DISTINCT FROM c + 1": "can't be shown",
    "UPDATE t SET c = f(a) WHERE c IS DISTINCT FROM f(a)": "can't be shown",
    "UPDATE t SET b = x, c = 1 WHERE b IS NULL AND random() < 2": "calls random()",
    "UPDATE t SET b = f(x), n = n + 1 WHERE b IS NULL": "its new value may be NULL",
    "UPDATE t SET b = DEFAULT WHERE b IS NULL": "it sets DEFAULT",
    "UPDATE t SET (a, b) = (1, 2) WHERE a IS NULL": "several columns from one row",
    "UPDATE t SET a[1] = 2 WHERE a IS NULL": "it sets a part of a",
    "UPDATE t SET a.x = 2 WHERE a IS NULL": "it sets a part of a",
    "UPDATE t SET a = 1 WHERE a IS NULL RETURNING a": "it has a RETURNING",
    "UPDATE t SET a = 1 WHERE CURRENT OF c": "WHERE CURRENT OF",
    "UPDATE t SET a = $1 WHERE a IS NULL": "it has a parameter, $1",
    "WITH x AS (SELECT 1) UPDATE t SET a = 1 WHERE a IS NULL": "it has a WITH",
    "UPDATE t SET a = (SELECT max(a) FROM t x) WHERE a IS NULL": "it reads t besides updating it",
    "UPDATE t SET a = 1 FROM s.t y WHERE t.a IS NULL": "it reads t besides updating it",
    "SELECT 1": "SELECT in a file with",
    "UPDATE t SET a = 1 WHERE a IS NULL; SET x = 1": "SET x in a file with",
    "": "nothing in a file with",
    "UPDATE t SET a = WHERE": "not an UPDATE that the parser can read",
    "UPDATE t SET a = " + "1+" * 40_000 + "1 WHERE a IS NULL": "not an UPDATE that the parser can read",
    "UPDATE t SET a = " + "1+" * 400 + "1 WHERE a IS NULL": "not an UPDATE that the parser can read",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:60])
def test_what_a_second_run_would_change_is_refused_with_its_reason(text: str) -> None:
    assert REFUSED[text] in refusal(text).reason


def test_refusal_names_the_line_of_the_statement() -> None:
    assert refusal("-- Title.\n\n/* é */ UPDATE t\nSET n = 1").line == 3
    assert refusal("UPDATE t SET a = 1 WHERE a IS NULL;\n\nUPDATE u SET a = 1").line == 3


def test_value_that_may_be_null_is_asked_for() -> None:
    one = of("UPDATE t SET b = nullif(a, 0) -- why\nWHERE b IS NULL")
    for waiting in (True, False):
        assert "AND ( nullif(a, 0) -- why\n\n) IS DISTINCT FROM NULL" in one.batch(FIRST, waiting=waiting)


def test_findings_tell_what_differs_from_one_update() -> None:
    assert of("UPDATE t SET b = now() WHERE b IS NULL").findings == ("now differs from batch to batch",)
    [finding] = of("UPDATE t SET b = u.v FROM u WHERE t.b IS NULL AND u.id = t.id").findings
    assert finding.startswith("each batch sees the current contents of u;")


WORDS = st.sampled_from(
    ["UPDATE", "t", "u", "SET", "WHERE", "FROM", "b", "a", "=", "IS", "NULL", "NOT", "AND", "OR", "(", ")", "1", "'x'",
     "DISTINCT", ",", "-- c\n", "/* WHERE */", "$$ WHERE $$", "é", '"WHERE"', "IN", "now()", "ONLY", "AS", "[1]", ";"]
)  # fmt: skip
TAILS = st.lists(WORDS, max_size=12).map(" ".join)


@settings(deadline=None, max_examples=150)
@given(before=TAILS, value=TAILS, condition=TAILS, waiting=st.booleans())
def test_any_update_gives_a_slice_that_the_parser_knows_or_a_refusal(
    before: str, value: str, condition: str, waiting: bool
) -> None:
    for text in (
        f"UPDATE t SET b = a {value} WHERE b IS NULL {condition}",
        f"UPDATE {before} SET b = 1 WHERE b IS NULL AND {condition}",
        f"{before} {value} {condition}",
    ):
        try:
            one = of(text)
        except RefusedError:
            continue
        old, new = tree.parse(one.script.text(one.statement).decode()), tree.parse(one.batch(FIRST, waiting=waiting))
        given_ones = [tree.shape(part) for part in tree.conjuncts(old.where_clause)]
        assert [tree.shape(part) for part in tree.conjuncts(new.where_clause)][: len(given_ones)] == given_ones
        for field in ("relation", "target_list", "from_clause"):
            assert tree.shape(getattr(old, field)) == tree.shape(getattr(new, field))
