"""The sessions of tests, and their end, whatever a test left behind."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from pgyoyo.migrations.migration import Folders
from pgyoyo.testing.clones import Clones


def open_session(url: str) -> Connection:
    """A connection, not in autocommit mode."""
    return psycopg.connect(url)


def end(connection: Connection, *, keep: bool) -> None:
    """Close it, never waiting for what it is about; with `keep` what the test saw is committed, if it can be.

    A deferred constraint may refuse it; a COPY or a query that was cut short leaves nothing to commit.
    """
    if not connection.closed and connection.info.transaction_status == TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=1)
    if keep and not connection.closed and connection.info.transaction_status == TransactionStatus.INTRANS:
        with suppress(psycopg.Error):
            connection.commit()
    connection.close()


def _goes_on(connection: Connection, transaction: str) -> bool:
    """Whether the session is still in that transaction, as far as it can be asked: not in another, nor in none."""
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        result = connection.pgconn.exec_(b"SELECT pg_catalog.pg_current_xact_id_if_assigned()")
        return result.get_value(0, 0) == transaction.encode()
    return connection.info.transaction_status != TransactionStatus.IDLE


class Transactions:
    """Transactions in one database, replaced as soon as a test has ended its own; raises what Clones.template raises."""

    def __init__(self, clones: Clones, folders: Folders) -> None:
        self._clones = clones
        self._template = clones.template(folders)
        self._name = clones.clone(self._template)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction, rolled back at the end; psycopg refuses its `commit()` meanwhile."""
        with closing(psycopg.connect(self._clones.url(self._name))) as connection:
            # Never left: to end it psycopg would wait for a query that the test's end has cut short.
            psycopg.Transaction(connection, force_rollback=True).__enter__()
            row = connection.execute("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text").fetchone()
            assert row
            yield connection
            whole = _goes_on(connection, row[0])
            if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                connection.pgconn.exec_(b"ROLLBACK")
            end(connection, keep=False)
        if not (whole and self._clones.rolled_back(row[0])):
            self._clones.discard(self._name)
            self._name = self._clones.clone(self._template)

    def close(self) -> None:
        """Drop the database."""
        self._clones.discard(self._name)
