"""A statement without its values: what a server understands in the same way, one for all values and lengths of lists."""

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgyoyo.sql import tree, wrapped
from pgyoyo.sql.normalized import normalized, without_comments, words
from pgyoyo.sql.outline import outline
from pgyoyo.workload.description import Description, describe

CHANGES = {
    "SELECT x FROM t WHERE id IN (1,2, 3) AND n = $7 OR n = $7": "SELECT x FROM t WHERE id IN ($1) AND n = $2 OR n = $2",
    "SELECT x FROM t WHERE (id, s) IN ((1,'x'),(2,'y'))": "SELECT x FROM t WHERE (id, s) IN (($1,$2))",
    "SELECT x FROM t WHERE id NOT IN ($1, $2, n)": "SELECT x FROM t WHERE id NOT IN ($1, n)",
    "SELECT x FROM t WHERE id IN (SELECT n FROM t LIMIT 5)": "SELECT x FROM t WHERE id IN (SELECT n FROM t LIMIT $1)",
    "SELECT x FROM t WHERE id = ANY(ARRAY[1,2]) AND s = ANY('{a,b}')":
        "SELECT x FROM t WHERE id = ANY($1) AND s = ANY($2)",
    "SELECT x FROM t WHERE n <> ALL (ARRAY[1,2]::bigint[]) AND id = SOME (ARRAY[$1, n])":
        "SELECT x FROM t WHERE n <> ALL (ARRAY[$1]::bigint[]) AND id = SOME (ARRAY[$2, n])",
    "INSERT INTO t (id, s) VALUES (-1,NULL),(2,'x'),(3,'y'), (4, DEFAULT)":
        "INSERT INTO t (id, s) VALUES ($1,NULL),($2,$3), ($4, DEFAULT)",
    "INSERT INTO t (d, s) VALUES (now(), lower('A')), (now(), lower('B'))": "INSERT INTO t (d, s) VALUES (now(), lower($1))",
    "INSERT INTO t (id) VALUES (5) ON CONFLICT (id) WHERE n = 0 DO UPDATE SET n = 5 WHERE t.n = 4":
        "INSERT INTO t (id) VALUES ($1) ON CONFLICT (id) WHERE n = 0 DO UPDATE SET n = $2 WHERE t.n = $3",
    "SELECT x FROM t WHERE d > date '2026-01-01' AND d < DATE'2026-01-01' + interval '1' day":
        "SELECT x FROM t WHERE d > CAST($1 AS date) AND d < CAST($2 AS DATE) + CAST($3 AS interval day)",
    "SELECT interval '1' day to second(3), timestamp(3) with time zone '2026-01-01', double precision '1', time '12:00'":
        "SELECT CAST($1 AS interval day to second(3)), CAST($2 AS timestamp(3) with time zone), "
        "CAST($3 AS double precision), CAST($4 AS time)",
    "SELECT x FROM t WHERE d + interval $1 > timestamp with time zone $2 AT TIME ZONE $3 AND extract($4 FROM d) = $5":
        "SELECT x FROM t WHERE d + CAST($1 AS interval) > CAST($2 AS timestamp with time zone) AT TIME ZONE $3 "
        "AND pg_catalog.extract($4, d) = $5",
    "SELECT x FROM t WHERE s = E'a\\'b' OR s = U&'d!0061' UESCAPE '!' OR s = $$x$$ OR s = $q$y'$q$ OR s = 'a'\n'b'":
        "SELECT x FROM t WHERE s = $1 OR s = $2 OR s = $3 OR s = $4 OR s = $5",
    "SELECT x FROM t WHERE n = -5 OR n = - -5 OR n < -(-5)":
        "SELECT x FROM t WHERE n = $1 OR n = $2 OR n < -(-CAST($3 AS integer))",
    "SELECT date_trunc('day', d), count(*) FROM t GROUP BY date_trunc('day', d) ORDER BY date_trunc('day', d), 2 LIMIT 5":
        "SELECT date_trunc($1, d), count(*) FROM t GROUP BY date_trunc($1, d) ORDER BY date_trunc($1, d), 2 LIMIT $2",
    "SELECT date_trunc($1, d), s || $2 FROM t GROUP BY date_trunc($3, d), s || $4 ORDER BY s || $5":
        "SELECT date_trunc($1, d), s || $2 FROM t GROUP BY date_trunc($1, d), s || $2 ORDER BY s || $2",
    "SELECT date_trunc($1, d), n FROM t GROUP BY 2, date_trunc('day', d)  \n ORDER BY n":
        "SELECT date_trunc($1, d), n FROM t GROUP BY 2, date_trunc($1, d)\n ORDER BY n",
    "SELECT DISTINCT s || 'a' FROM t ORDER BY s || 'a'": "SELECT DISTINCT s || $1 FROM t ORDER BY s || $1",
    "SELECT round(n, 2), n + 1, coalesce(n, 0), CASE WHEN s = 'b' THEN 1.5 ELSE 0 END FROM t":
        "SELECT round(n, CAST($1 AS integer)), n + CAST($2 AS integer), coalesce(n, $3), "
        "CASE WHEN s = $4 THEN CAST($5 AS numeric) ELSE CAST($6 AS integer) END FROM t",
    "SELECT x FROM t WHERE n > 9999999999 * n AND n < 123456789012345678901 + n":
        "SELECT x FROM t WHERE n > CAST($1 AS bigint) * n AND n < CAST($2 AS numeric) + n",
    "UPDATE t SET n = 5, s = 'x', id = id + 1 WHERE EXISTS (SELECT 1 FROM t WHERE TRUE)":
        "UPDATE t SET n = $1, s = $2, id = id + CAST($3 AS integer) WHERE EXISTS (SELECT $4 FROM t WHERE TRUE)",
    "UPDATE t SET s = CASE WHEN (id = 1) THEN 'a' WHEN (id = 2) THEN 'b' ELSE NULL END WHERE id IN (1, 2)":
        "UPDATE t SET s = CASE WHEN (id = $1) THEN $2 ELSE NULL END WHERE id IN ($3)",
    "SELECT CASE s WHEN 'a' THEN CASE WHEN n = 1 THEN x END WHEN 'b' THEN id WHEN 'c' THEN id END AS case, x AS end FROM t":
        "SELECT CASE s WHEN $1 THEN CASE WHEN n = $2 THEN x END WHEN $3 THEN id END AS case, x AS end FROM t",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT n FROM r":
        "WITH RECURSIVE r AS (SELECT CAST($1 AS integer) AS n UNION ALL SELECT n + CAST($2 AS integer) FROM r WHERE n < $3) "
        "SELECT n FROM r",
    "SELECT x FROM t JOIN (VALUES (1,'a'),(2,'b')) v(i,j) ON v.i = t.id":
        "SELECT x FROM t JOIN (VALUES (CAST($1 AS integer),$2)) v(i,j) ON v.i = t.id",
    "SELECT jsonb_build_object('k', n, 'l', 1) FROM t WHERE 'x' IS NULL":
        "SELECT jsonb_build_object(CAST($1 AS text), n, CAST($2 AS text), CAST($3 AS integer)) FROM t "
        "WHERE CAST($4 AS text) IS NULL",
    "SELECT nextval('t_id_seq'), 't'::regclass, j ->> 'k', j -> 0 FROM t":
        "SELECT nextval('t_id_seq'), 't'::regclass, j ->> $1, j -> CAST($2 AS integer) FROM t",
    "SELECT x FROM t WHERE a[1] = 3 AND n BETWEEN 1 AND 5 AND s LIKE 'x!%' ESCAPE '!' AND n IS DISTINCT FROM 4":
        "SELECT x FROM t WHERE a[$1] = $2 AND n BETWEEN $3 AND $4 AND s LIKE $5 ESCAPE $6 AND n IS DISTINCT FROM $7",
    "SELECT n::numeric(10,2), CAST('1' AS varchar(20)) FROM t FETCH FIRST 5 ROWS ONLY":
        "SELECT n::numeric(10,2), CAST($1 AS varchar(20)) FROM t FETCH FIRST $2 ROWS ONLY",
    "SELECT sum(n) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM t":
        "SELECT sum(n) OVER (ORDER BY id ROWS BETWEEN CAST($1 AS integer) PRECEDING AND CURRENT ROW) FROM t",
    "SELECT x FROM generate_series(1, 5) AS x WHERE 1 = 1": "SELECT x FROM generate_series(CAST($1 AS integer), "
        "CAST($2 AS integer)) AS x WHERE CAST($3 AS integer) = CAST($4 AS integer)",
    "MERGE INTO t USING t u ON t.id = u.id WHEN MATCHED AND u.n = 5 THEN UPDATE SET n = 7 "
    "WHEN NOT MATCHED THEN INSERT (id, s) VALUES (1, 'x')":
        "MERGE INTO t USING t u ON t.id = u.id WHEN MATCHED AND u.n = $1 THEN UPDATE SET n = $2 "
        "WHEN NOT MATCHED THEN INSERT (id, s) VALUES ($3, $4)",
    "SELECT n % 2, n % 2, CASE s || 'a' WHEN 'b' THEN 1 END FROM t GROUP BY t.n % 2, s || 'a'":
        "SELECT n % CAST($1 AS integer), n % CAST($1 AS integer), CASE s || $2 WHEN $3 THEN CAST($4 AS integer) END FROM t "
        "GROUP BY t.n % CAST($1 AS integer), s || $2",
    "SELECT row_to_json(ROW(1, 'a')), (ROW('a', s))::text FROM t WHERE ROW(1, 'x') = ANY(ARRAY[ROW(id, s)])":
        "SELECT row_to_json(ROW(CAST($1 AS integer), CAST($2 AS text))), (ROW(CAST($3 AS text), s))::text FROM t "
        "WHERE ROW(CAST($4 AS integer), CAST($5 AS text)) = ANY(ARRAY[ROW(id, s)])",
    "SELECT date('2026-01-01'), inet($1), substring(s FOR 3), regclass('t') FROM t":
        "SELECT date(CAST($1 AS date)), inet(CAST($2 AS inet)), substring(s FOR $3), regclass('t') FROM t",
    "SELECT x FROM t WHERE id IN ($1 /*, ... */) AND n = 3 -- 'secret'": "SELECT x FROM t WHERE id IN ($1) AND n = $2",
}  # fmt: skip
# What EXPLAIN and PREPARE of PostgreSQL 14 does not know.
NEW = "MERGE"
TABLE = """
CREATE TABLE t (id int, n numeric, s text, d timestamptz, j jsonb, a int[], x int);
CREATE UNIQUE INDEX ON t (id) WHERE n = 0;
CREATE SEQUENCE t_id_seq;
"""


@pytest.mark.parametrize("text", CHANGES)
def test_values_become_parameters(text: str) -> None:
    result = normalized(without_comments(text), keep_values=False)
    assert result == CHANGES[text]
    assert normalized(result, keep_values=False) == result


def test_comments_go_and_values_that_are_kept_stay_as_they_are() -> None:
    text = "SELECT x -- y\n  \n\n  , 'a  \n\n -- b' /* c */ AS d  \n -- e\nFROM t WHERE n IN (1, 2)"
    kept = "SELECT x\n  , 'a  \n\n -- b' AS d\nFROM t WHERE n IN (1, 2)"
    assert normalized(without_comments(text), keep_values=True) == kept
    assert normalized(without_comments(text), keep_values=False) == "SELECT x\n  , $1 AS d\nFROM t WHERE n IN ($2)"


def test_the_server_understands_the_result_as_it_did_the_statement(conn: psycopg.Connection) -> None:
    conn.execute(TABLE)
    texts = [text for text in CHANGES if NEW not in text or conn.info.server_version >= 150000]
    after = describe(conn, [CHANGES[text] for text in texts])
    assert [
        (text, answer) for text, answer in zip(texts, after, strict=True) if not isinstance(answer, Description)
    ] == []
    for before, answer in zip(describe(conn, texts), after, strict=True):
        assert isinstance(answer, Description)
        # What pg_stat_statements wrote is no statement yet.
        assert not isinstance(before, Description) or before.columns == answer.columns


STRINGS = st.text(st.sampled_from("a'\\ü$\n;-/* "), max_size=5).map(lambda text: f"Zq{text}")


@st.composite
def strings(draw: st.DrawFn) -> str:
    text = draw(STRINGS)
    doubled = text.replace("'", "''")
    escaped = doubled.replace("\\", "\\\\")
    dollars = f"$q${text}$q$" if "$" not in text else f"'{doubled}'"
    return draw(st.sampled_from([f"'{doubled}'", f"E'{escaped}'", f"U&'{escaped}'", dollars, f"'Zq'\n'{doubled}'"]))


NUMBERS = st.builds("{}{}".format, st.sampled_from(["", "-"]), st.integers(710_000, 719_999))
# <S> is a string, <T> the same one each time, <N> a whole number, <L> a list of numbers, <R> rows.
TEMPLATES = (
    "SELECT a, <S> AS b FROM t WHERE c = <S> AND d IN (<L>) /* Zq */ AND e > <N> LIMIT <N> -- Zq",
    "INSERT INTO t (a, b) VALUES <R> ON CONFLICT (a) DO UPDATE SET a = <S>, b = t.b + <N>",
    "UPDATE t SET a = f(<S>, <N>), b = CASE WHEN c = <S> THEN <N> ELSE <N> END WHERE d = ANY(ARRAY[<L>]) AND e > 71e4",
    "SELECT date <S>, interval <S> day, <S>::text, x[<N>], j ->> <S> FROM t JOIN (VALUES <R>) v ON v.a = <N> OFFSET <N>",
    "WITH c AS (SELECT <N> AS x UNION SELECT <S>) DELETE FROM t USING c WHERE (t.a, t.b) IN (<R>) RETURNING <S>, + <N>",
    "SELECT f(<S>, g => <N>), a || <T> FROM t GROUP BY a || <T> HAVING sum(c) > <N> ORDER BY a || <T>, <N> + c, 2",
    "MERGE INTO t USING u ON t.a = <S> WHEN MATCHED THEN UPDATE SET a = <S> WHEN NOT MATCHED THEN INSERT VALUES (<S>, <N>)",
    "CALL p(<S>, <N>)",
    "SELECT json_value(a, <S> DEFAULT <N> ON ERROR) FROM json_table(a, '$[*] ? (@.b == 71)' COLUMNS (x int PATH '$.x'))",
    "SELECT y FROM xmltable(<S> PASSING <S> COLUMNS y int PATH <S>) WHERE y = -(-71)",
)


@st.composite
def fillings(draw: st.DrawFn) -> tuple[str, str]:
    """A template filled twice, with lists of other lengths."""
    template = draw(st.sampled_from(TEMPLATES))

    def filled() -> str:
        text = template.replace("<T>", draw(strings()))
        for slot, item in (("<R>", "(<S>, <N>)"), ("<L>", "<N>")):
            text = text.replace(slot, ", ".join([item] * draw(st.integers(1, 4))))
        for slot, values in (("<S>", strings()), ("<N>", NUMBERS)):
            while slot in text:
                text = text.replace(slot, draw(values), 1)
        return text

    return filled(), filled()


@given(fillings())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_value_is_left_and_what_differs_in_values_is_one(texts: tuple[str, str]) -> None:
    results = [normalized(without_comments(text), keep_values=False) for text in texts]
    for result in results:
        assert "Zq" not in result
        assert "71" not in result
        assert tree.parse_or_error(result)[1] is None
    assert words(results[0]) == words(results[1])
    # What the outline takes for the same is the same.
    assert outline(texts[0]) != outline(texts[1]) or results[0] == results[1]


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("/* app */ COPY t TO STDOUT", "SELECT * FROM t"),
        ("/*a*/ COPY /*b*/ s.t (a, b) FROM STDIN", "INSERT INTO s.t (a, b) VALUES ($1, $2)"),
        ("EXPLAIN /* x */ ANALYZE SELECT 1", "SELECT 1"),
        ("-- c\nEXPLAIN SELECT 1", "SELECT 1"),
        ("CREATE TABLE x AS SELECT 1 WITH NO DATA /* app */", "SELECT 1"),
        ("/* for */ DECLARE c CURSOR FOR SELECT 2 -- for", "SELECT 2"),
        ("SELECT 1 AS into INTO t", "SELECT 1 AS into"),
    ],
)
def test_comments_are_no_words_of_a_statement_that_hands_another_on(text: str, inner: str) -> None:
    assert wrapped.unwrapped(text) == inner
