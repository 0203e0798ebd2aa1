"""Texts for regular expressions, held to what PostgreSQL itself says of them; and tables that only such values fit."""

import pytest
from psycopg import Connection

from pgyoyo.scratch import samples
from pgyoyo.scratch.patterns import matching

PATTERNS = [
    r"^[A-Z]{3}-\d{4}$", r"^\+?[0-9]{7,15}$", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", r"^(foo|bar)_[a-z0-9_]+$",
    r"^#[0-9a-fA-F]{6}$", r"^https?://", r"^[[:alpha:]][[:alnum:]_]*$", r"^\S+$", r"^[]a]+$", r"^[^[:space:]]+$",
    r"^(?:a|bc){2,3}$", r"^.{5,}$", "", r"^[A-Z0-9]+(-[A-Z0-9]+)*$", r"^v\d+(\.\d+){2}$", "^$", r"^[\w.-]+$",
    r"\Aa*?b+\Z", r"^[a-c]{0}x?$", r"a|b|", "^[^a-z]$", r"^\(\d{3}\) \d{3}$", r"^[-+]?\d*\.?\d+$",
]  # fmt: skip


def test_texts_match_and_differ(conn: Connection) -> None:
    for pattern in PATTERNS:
        texts = [matching(pattern, n) for n in range(1, 6)]
        assert conn.execute("SELECT bool_and(t ~ %s) FROM unnest(%s::text[]) AS t", [pattern, texts]).fetchone() == (
            True,
        ), pattern
    assert len({matching(r"^[A-Z]{3}-\d{4}$", n) for n in range(1, 20)}) == 19


@pytest.mark.parametrize("pattern", ["(?=x)", "a{", "[a", "(a", "a)", "a{1,x}", "[[:nothing:]]", "a{2000}", "\\"])
def test_what_is_not_understood_gives_none(pattern: str) -> None:
    assert matching(pattern, 1) is None


def test_checks_of_length_form_and_kind_leave_no_table_empty(conn: Connection) -> None:
    conn.execute(r"""
        CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{2}-[0-9]{6}$');
        CREATE TABLE t (
          a bytea PRIMARY KEY CHECK (length(a) = 33), b text NOT NULL CHECK (char_length(b) > 40), c code NOT NULL UNIQUE,
          d text NOT NULL CHECK (d SIMILAR TO '(x|y)[0-9]+'), e int[] NOT NULL CHECK (cardinality(e) = 3),
          f jsonb NOT NULL CHECK (jsonb_typeof(f) = 'array'), g text NOT NULL CHECK (g !~ '^s' AND length(g) BETWEEN 3 AND 5),
          h bytea NOT NULL CHECK (octet_length(h) < 2), i text NOT NULL CHECK (i ~* '^it''s [a-f]{4}$'));
        CREATE TABLE u (a bytea NOT NULL REFERENCES t CHECK (length(a) = 33));
    """)
    filled = samples.fill(conn, {})
    assert filled.notes == []
    assert filled.held["public.u"].count > 1
