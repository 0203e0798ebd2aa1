"""Whether a connection keeps its server session, or a pooler gives each transaction another one."""

import select
import time
from contextlib import closing

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus

from pgyoyo.engine import connection
from pgyoyo.errors import ConnectError

_PATIENCE = 3.0  # seconds for a connection or an answer
# Seconds for an answer to a second session before ours is asked; in a pool with room for one there is none.
_MOMENT = 0.2
_PID = b"SELECT pg_catalog.pg_backend_pid()"
_ADVICE = "connect to PostgreSQL itself, or to a pool in session mode"


def refusal() -> ConnectError:
    """The error for a pooler in transaction or statement mode."""
    return ConnectError(
        "this connection goes through a pooler that gives each transaction another server session, so no lock would hold; "
        + _ADVICE
    )


def refuse_transaction_pooling(conn: Connection, pid: int) -> None:
    """Raise ConnectError where the transactions of `conn`, one of which ran on the server session `pid`, may run on others.

    Only needed where the connection was given another pid than the server's own: poolers hand out keys of their own making,
    in session mode too. There a second session gets another server session than ours, or has to wait for a place; in
    transaction and statement mode it gets ours, which is idle, or we get another one while it has a transaction open.
    """
    try:
        shared = _is_shared(conn, pid)
    except psycopg.Error as error:
        reason = connection.redact(str(error).strip(), connection.to_reconnect(conn))
        raise ConnectError(
            f"how the pooler of this connection works could not be found out: {reason}\n{_ADVICE}"
        ) from None
    if shared:
        conn.close()  # it may still wait for an answer
        raise refusal()


def _is_shared(conn: Connection, pid: int) -> bool:
    conninfo = make_conninfo(
        connection.again(conn.info), application_name="pgyoyo pooling", connect_timeout=int(_PATIENCE)
    )
    try:
        second = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.errors.ConnectionTimeout:
        return _ask(conn, _PID) != pid
    with closing(second):
        first = None
        # Three times, since a pooler may hand out its sessions in turn; then in a transaction that stays open.
        for text in (_PID, _PID, _PID, b"BEGIN; " + _PID):
            answer = _ask(second, text, _MOMENT)
            if answer is None:
                # Where transactions are pooled, the second session is served first: it has been waiting for longer.
                if any(_ask(conn, _PID) != pid for _ in range(3)):
                    return True
                answer = _ask(second, text, 0)
                if answer is None:
                    return False
            first = first or answer
            if answer == pid or answer != first:
                return True
        return _ask(conn, _PID) != pid


def _ask(conn: Connection, text: bytes, patience: float = _PATIENCE) -> int | None:
    """The number that the statements give; None if that takes too long: asked again, it goes on waiting for that answer."""
    pgconn = conn.pgconn
    until = time.monotonic() + patience
    answer = None
    if pgconn.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
        pgconn.send_query(text)
    while True:
        while pgconn.flush() or pgconn.is_busy():
            watch = select.poll()
            watch.register(pgconn.socket, select.POLLIN)
            if not watch.poll(max(0.0, until - time.monotonic()) * 1000):
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return answer
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
        if result.ntuples:
            answer = int(result.get_value(0, 0) or 0)
