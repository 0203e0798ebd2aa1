"""One simple-query message of several statements, and everything that comes back for it."""

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, pq
from psycopg.pq import ExecStatus

_CHUNK = 1 << 16
_TICK = 0.05

Rows = tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]]


@dataclass(slots=True)
class Outcome:
    """What running one file gave besides its effect; milliseconds."""

    duration: float = 0.0
    tables: list[Rows] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Reply:
    """What the server answered; `results` counts the statements that ended well, `error` is the one that did not.

    `rows` is how many the last statement of the message returned or changed.
    """

    results: int = 0
    rows: int = 0
    tables: list[Rows] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    error: psycopg.Error | None = None
    lost: bool = False

    def outcome(self, started: float) -> Outcome:
        """What a person wants to see of it; `started` is the monotonic clock's at the begin."""
        return Outcome((time.monotonic() - started) * 1000, self.tables, self.notices)


def send(
    conn: Connection,
    text: bytes,
    copies: Sequence[memoryview] = (),
    *,
    skip: int = 0,
    tick: Callable[[float], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Reply:
    """Send the text as one message and wait for all of its results; never raises for what the server answers.

    `copies` are the data of its COPY … FROM stdin statements, in order. The rows of the first `skip` statements are not
    kept. `meanwhile` is called once when all is sent, and `tick` with the seconds gone by, about every 50 ms, while the
    server works; if one of them or a signal raises, the statement is cancelled, its end awaited, and the exception goes on.
    On a lost connection the reply says `lost`: whether a COMMIT in the text took place is then unknown.
    """
    reply = Reply()
    pgconn = conn.pgconn
    data = iter(copies)

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        reply.notices.append(f"{diagnostic.severity}: {diagnostic.message_primary}")

    conn.add_notice_handler(note)
    try:
        pgconn.send_query(text)
        started = time.monotonic()
        _wait(pgconn, started, tick, writing=True)
        if meanwhile:
            meanwhile()
        last = None
        while True:
            if pgconn.is_busy():
                _wait(pgconn, started, tick)
            result = pgconn.get_result()
            if result is None:
                break
            status = result.status
            if status == ExecStatus.COPY_IN:
                _feed(pgconn, next(data, None), started, tick)
            elif status == ExecStatus.COPY_OUT:
                _drain(pgconn, started, tick)
            elif status == ExecStatus.FATAL_ERROR:
                # What follows a first error (a connection closed after it) says less.
                reply.error = reply.error or psycopg.errors.error_from_result(result, encoding="utf-8")
            else:
                last = result
                reply.results += 1
                if status == ExecStatus.TUPLES_OK and reply.results > skip and result.ntuples:
                    reply.tables.append(_rows(result))
        reply.rows = last.command_tuples or 0 if last else 0
    except psycopg.OperationalError as error:
        reply.error = reply.error or error
    except BaseException:
        _cancel(conn)
        raise
    finally:
        conn.remove_notice_handler(note)
    reply.lost = pgconn.status == pq.ConnStatus.BAD
    return reply


def clear(conn: Connection) -> None:
    """End what a signal interrupted, a statement or a transaction, so that the session can be used again."""
    if conn.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
        _cancel(conn)
    if conn.pgconn.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
        conn.execute("ROLLBACK")


def _wait(
    pgconn: pq.abc.PGconn, started: float, tick: Callable[[float], None] | None, *, writing: bool = False
) -> None:
    """Return when a result is there, or, if writing, when all is sent."""
    while pgconn.flush() if writing else pgconn.is_busy():
        watch = select.poll()
        watch.register(pgconn.socket, select.POLLIN | (select.POLLOUT if writing else 0))
        if watch.poll(_TICK * 1000):
            pgconn.consume_input()
        elif tick:
            tick(time.monotonic() - started)


def _feed(pgconn: pq.abc.PGconn, data: memoryview | None, started: float, tick: Callable[[float], None] | None) -> None:
    """Stream one COPY's data; the server's complaint about it comes as the next result."""
    for start in range(0, len(data) if data is not None else 0, _CHUNK):
        assert data is not None
        while pgconn.put_copy_data(data[start : start + _CHUNK]) == 0:
            _wait(pgconn, started, tick, writing=True)
        _wait(pgconn, started, tick, writing=True)
    while pgconn.put_copy_end() == 0:
        _wait(pgconn, started, tick, writing=True)
    _wait(pgconn, started, tick, writing=True)


def _drain(pgconn: pq.abc.PGconn, started: float, tick: Callable[[float], None] | None) -> None:
    """Throw away what a COPY … TO stdout sends."""
    while True:
        size, _ = pgconn.get_copy_data(1)
        if size == -1:
            return
        if size == 0:
            _wait(pgconn, started, tick)


def _rows(result: Any) -> Rows:
    names = tuple((result.fname(i) or b"").decode() for i in range(result.nfields))
    rows = tuple(
        tuple(_text(result.get_value(row, column)) for column in range(result.nfields)) for row in range(result.ntuples)
    )
    return names, rows


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _cancel(conn: Connection) -> None:
    """Stop what runs and wait for its end, so that the session can be used again; a dead connection stays dead."""
    pgconn = conn.pgconn
    try:
        conn.cancel_safe(timeout=5.0)
        while (result := pgconn.get_result()) is not None:
            if result.status == ExecStatus.COPY_IN:
                pgconn.put_copy_end(b"interrupted")
            elif result.status == ExecStatus.COPY_OUT:
                _drain(pgconn, 0.0, None)
    except psycopg.Error:
        return
