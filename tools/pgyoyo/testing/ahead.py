"""The next clone, made while a test runs, on a thread with a session of its own, which drops what tests are done with."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from pgyoyo.engine import connection
from pgyoyo.engine.ledger import key_of

_LOCK = "SELECT pg_catalog.pg_advisory_{}({})"


class Ahead:
    """Makes one clone ahead, for a server whose data need not reach the disk.

    On another one a DROP would have the pages of the copy that was just made written. `name` gives the name of a new clone,
    `recorded`: the server logs every statement that is sent to one. In a process that was forked from this one nothing is
    made ahead. Raises ConnectError.
    """

    def __init__(self, conninfo: str, name: Callable[[], str], *, recorded: bool) -> None:
        self._conn = connection.connect(conninfo)
        self._name = name
        self._recorded = recorded
        self._process = os.getpid()
        self._thread = ThreadPoolExecutor(1, "pgyoyo")
        self._next: tuple[str, Future[str]] | None = None
        self._made: set[str] = set()
        self._done: list[str] = []

    def take(self, template: str) -> str | None:
        """The clone that was made ahead, the caller's from now on; None where it is one of another template, or failed."""
        if self._process != os.getpid() or self._next is None or self._next[0] != template:
            return None
        made, self._next = _names(self._next), None  # whoever makes one that failed again sees the reason
        return made[0] if made else None

    def prepare(self, template: str, release: Callable[[str], None]) -> None:
        """Have the next clone made of this template, then drop what was discarded: by now nobody is connected to it.

        `release` is called before for each of these, by name, for what would keep it from being dropped.
        """
        if self._process != os.getpid():
            return
        # A test may have replaced what a name is made of by the time the thread makes the clone.
        unused, self._next = self._next, (template, self._thread.submit(self._make, template, self._name()))
        self._done += _names(unused)
        while self._done:
            name = self._done.pop()
            release(name)
            self._thread.submit(self._drop, name)

    def discard(self, name: str) -> bool:
        """Whether it is one of those that were made here; then it is dropped later."""
        if name not in self._made:
            return False
        self._done.append(name)
        return True

    def close(self) -> list[str]:
        """Drop what was discarded or not taken, and disconnect; returns the names of those that could not be dropped."""
        if self._process != os.getpid():
            return []
        self._done += _names(self._next)
        for name in self._done:
            self._thread.submit(self._drop, name)
        self._thread.shutdown()
        self._conn.close()
        return [name for name in self._done if name in self._made]

    def _make(self, template: str, name: str) -> str:
        self._send(_LOCK.format("lock", key_of(name)))
        database = sql.Identifier(name)
        copy = " STRATEGY file_copy" if self._conn.info.server_version >= 150000 else ""
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + copy).format(database, sql.Identifier(template))
        self._send(create.as_string())
        if self._recorded:
            self._send(sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(database).as_string())
        self._made.add(name)
        return name

    def _drop(self, name: str) -> None:
        self._send(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)).as_string())
        self._made.discard(name)
        self._send(_LOCK.format("unlock", key_of(name)))

    def _send(self, statement: str) -> None:
        """Past psycopg, whose classes the test that runs meanwhile may have replaced; raises psycopg.Error."""
        result = self._conn.pgconn.exec_(statement.encode())
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise psycopg.errors.error_from_result(result)


def _names(clone: tuple[str, Future[str]] | None) -> list[str]:
    """The clone that was made ahead, if it could be made."""
    return [clone[1].result()] if clone and not clone[1].exception() else []
