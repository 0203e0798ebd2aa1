"""Placeholders of drivers and of libraries for .sql files become $1; what only looks like one stays."""

import psycopg
import pytest

from pgyoyo.workload.placeholders import numbered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT :id::int, :name, :id", "SELECT $1::int, $2, $1"),
        ("SELECT a FROM t WHERE b=:b AND c IN (:c1,:c2)", "SELECT a FROM t WHERE b=$1 AND c IN ($2,$3)"),
        ("SELECT ':a', \":b\", E'\\':c', 'it''s :d', $$:e$$, $x$:f$$ :g$x$ -- :h", None),
        ("SELECT /* :a\n'b */ :c -- 'it\n, :d", "SELECT /* :a\n'b */ $1 -- 'it\n, $2"),
        ("SELECT a[1:n], a[lo:hi], now()::date, f(x := 1)", None),
        ("SELECT ä FROM t WHERE ä = :größe", "SELECT ä FROM t WHERE ä = $1"),
        ("SELECT 5 % s, a %b, '%s' LIKE '%%'", None),
        ("SELECT $2, $1, :a, $1", "SELECT $2, $1, $3, $1"),
        ("SELECT sqlc.arg(id), sqlc.narg('name'), sqlc.arg( 'id' )", "SELECT $1, $2, $1"),
        ("SELECT %(a)s, %(b c)s, %(a)b, 5 %% 2, 'x%%'", "SELECT $1, $2, $1, 5 % 2, 'x%'"),
        ("SELECT %s, %s, ':a', b::text", "SELECT $1, $2, ':a', b::text"),
        (
            "SELECT a[f(x):n], b[c[1]:n] FROM t WHERE d > time '12:00' AND e=:e::int",
            "SELECT a[f(x):n], b[c[1]:n] FROM t WHERE d > time '12:00' AND e=$1::int",
        ),
        (
            "SELECT sqlc.embed(t) FROM t WHERE id IN (sqlc.slice('ids')) AND a = @a AND b=@b",
            "SELECT t.* FROM t WHERE id IN ($1) AND a = $2 AND b=$3",
        ),
        ("SELECT a @> b, c <@ d, e @@ f, @ g, '@h' FROM t", None),
        ("SELECT a FROM t WHERE b IN :b AND c NOT IN :c", "SELECT a FROM t WHERE b IN ($1) AND c NOT IN ($2)"),
        ("SELECT a FROM t WHERE b in %(b)s AND c LIKE '%%x%%'", "SELECT a FROM t WHERE b in ($1) AND c LIKE '%x%'"),
        ("", None),
        ("SELECT 'open :a", "SELECT 'open $1"),
    ],
)
def test_placeholders_are_numbered_outside_text(text: str, expected: str | None) -> None:
    assert numbered(text) == (text if expected is None else expected)


@pytest.mark.parametrize(
    "text", ["SELECT %(a)s::int, %(b)s::text, %(a)s::int % 2", "SELECT %s::int, '5%%', 7 %% %s::int"]
)
def test_the_numbers_are_those_that_psycopg_sends(conn: psycopg.Connection, text: str) -> None:
    text = text.replace(" % ", " %% ")
    values = {"a": 1, "b": "x"} if "(a)" in text else [1, 2]
    sent = psycopg._queries.PostgresQuery(psycopg.adapt.Transformer(conn))
    sent.convert(text, values)
    assert numbered(text).encode() == sent.query
