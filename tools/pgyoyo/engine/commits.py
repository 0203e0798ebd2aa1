"""Whether code that a statement runs may end a transaction by itself."""

import re

from psycopg import Connection

from pgyoyo.sql.script import Statement

# Also spi_commit() of PL/Perl.
_COMMITS = re.compile(rb"(?i)(?:\b|_)(?:commit|rollback)\b")
_CALLS = re.compile(rb"(?i)\bcall\b")
# A procedure that may end a transaction; what another language does can't be read here.
_COMMITTING = r"""
SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.prokind OPERATOR(pg_catalog.=) 'p'::pg_catalog."char"
  AND (l.lanname OPERATOR(pg_catalog.<>) ALL ('{plpgsql,sql}'::pg_catalog.name[])
       OR p.prosrc OPERATOR(pg_catalog.~*) '\m(commit|rollback)\M') LIMIT 1
"""


def may_commit(conn: Connection, text: bytes) -> bool:
    """Whether a DO or CALL may have committed inside: an idle session begins transactions of its own, too, now and then
    (ProcessCatchupInterrupt in sinval.c), so their number alone does not tell.
    """
    if _COMMITS.search(text):
        return True
    return bool(_CALLS.search(text)) and conn.execute(_COMMITTING.encode()).fetchone() is not None


def is_code(statement: Statement) -> bool:
    """Whether it is a CALL or a DO block, which may commit by itself."""
    return statement.name.split(" ")[0].upper() in ("CALL", "DO")


def needs_to_be_alone(statement: Statement, text: bytes, conn: Connection | None = None) -> bool:
    """Whether it can't, or may not, run in a transaction; without a connection every procedure may commit."""
    if statement.needs_autocommit or not is_code(statement):
        return statement.needs_autocommit
    return may_commit(conn, text) if conn else bool(_COMMITS.search(text) or _CALLS.search(text))
