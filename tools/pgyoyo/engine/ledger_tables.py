"""Makes the tables of a ledger where they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Connection, errors, sql

from pgyoyo.engine import which_ledger
from pgyoyo.errors import PgyoyoError

_TRIES = 10  # as often as plain yoyo may make a table of its own between two; it has four


def creation(conn: Connection, schema: str) -> str:
    """The statements that make yoyo's tables and ours."""
    texts = which_ledger.queries(which_ledger.table_of(conn))
    return ";\n".join(texts[name].replace("{schema}", schema) for name in ("create_lock", "create", "version"))


def make(conn: Connection, schema: str) -> None:
    """Make all tables where they are missing, in a database that nobody else uses; raises PgyoyoError as the others."""
    with _may_create(conn, schema), conn.transaction():
        conn.execute(creation(conn, schema).encode())


def ensure_lock_table(conn: Connection, schema: str) -> None:
    """Make yoyo's lock table where it is missing; raises PgyoyoError when the role may not, and DriftError as read."""
    if "yoyo_lock" not in which_ledger.present(conn, schema):
        _create(conn, schema, "create_lock")


def ensure(conn: Connection, schema: str) -> None:
    """Make the other tables where they are missing, whoever made some of them before; raises as ensure_lock_table.

    Only under the lock row: the plain yoyo, which makes its own tables under it, fails where somebody else does meanwhile.
    """
    needed = which_ledger.OWN | {which_ledger.table_of(conn), "_yoyo_log", "_yoyo_version"}
    if not which_ledger.present(conn, schema) >= needed:
        _create(conn, schema, "create", "version")


def _create(conn: Connection, schema: str, tables: str, rows: str | None = None, *, tries: int = _TRIES) -> None:
    texts = which_ledger.queries(which_ledger.table_of(conn))
    try:
        with _may_create(conn, schema), conn.transaction():
            conn.execute(texts[tables].replace("{schema}", schema).encode())
            # Some may have been there before, made by whoever may create tables here.
            if not which_ledger.is_plain(conn, schema):
                which_ledger.present(conn, schema)
            if rows:
                conn.execute(texts[rows].replace("{schema}", schema).encode())
    except (errors.UniqueViolation, errors.DuplicateTable):
        # The plain yoyo, which knows no lock of ours, has made its table this very moment.
        if tries == 1:
            raise
        _create(conn, schema, tables, rows, tries=tries - 1)


@contextmanager
def _may_create(conn: Connection, schema: str) -> Iterator[None]:
    """Raises PgyoyoError where the role may not create tables in the schema."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        role = sql.Identifier(conn.info.user).as_string(conn)
        raise PgyoyoError(
            f"the role {role} may not create the ledger in schema {schema}: {error.diag.message_primary}\n"
            f"Let the schema's owner run: GRANT CREATE ON SCHEMA {schema} TO {role};"
        ) from None
