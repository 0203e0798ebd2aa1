"""One simple-query message of several statements, and everything that comes back for it."""

import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg
from psycopg import Connection, pq
from psycopg.pq import DiagnosticField, ExecStatus

from pgyoyo.engine import encoding

_CHUNK = 1 << 16
_TICK = 0.05
# What is kept of results, since no more is shown. libpq hands rows over in small chunks, or it would hold all of a result.
KEPT_ROWS = 20
_KEPT_TABLES = _KEPT_NOTICES = 100
# The status of a part of a result, in single-row mode and, from libpq 17 on, in chunks.
_PARTIAL = (ExecStatus.SINGLE_TUPLE, *((ExecStatus.TUPLES_CHUNK,) if hasattr(ExecStatus, "TUPLES_CHUNK") else ()))


class Rows(NamedTuple):
    """The first rows of a result; `total` is how many it had."""

    names: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    total: int


@dataclass(slots=True)
class Output:
    """What statements returned and the server noted: the first of each, and how many more there were."""

    tables: list[Rows] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    more_tables: int = 0
    more_notices: int = 0

    def add(self, output: "Output") -> None:
        """Add what a later message gave."""
        for rows in output.tables:
            self.add_table(rows)
        for notice in output.notices:
            self.add_notice(notice)
        self.more_tables += output.more_tables
        self.more_notices += output.more_notices

    def add_table(self, rows: Rows) -> None:
        """Add the rows of a result."""
        if len(self.tables) < _KEPT_TABLES:
            self.tables.append(rows)
        else:
            self.more_tables += 1

    def add_notice(self, notice: str) -> None:
        """Add a notice."""
        if len(self.notices) < _KEPT_NOTICES:
            self.notices.append(notice)
        else:
            self.more_notices += 1


@dataclass(slots=True)
class Outcome(Output):
    """What running one file gave besides its effect; milliseconds."""

    duration: float = 0.0


@dataclass(slots=True)
class Reply(Output):
    """What the server answered; `results` counts the statements that ended well, `error` is the one that did not.

    `rows` is how many the last statement of the message changed that was no query. Of several messages that make up a text,
    the error's position counts from the one that failed; `before` are the characters of those before it.
    """

    results: int = 0
    rows: int = 0
    error: psycopg.Error | None = None
    lost: bool = False
    before: int = 0

    def follow(self, reply: "Reply", characters: int) -> None:
        """Add the reply to the next of several messages, before which so many characters had been sent."""
        self.add(reply)
        self.results += reply.results
        self.rows, self.error, self.lost, self.before = reply.rows, reply.error, reply.lost, characters

    @property
    def unknown(self) -> bool:
        """Whether a COMMIT in the message may have taken place, or not."""
        return self.lost or (self.error is not None and _is_the_clients(self.error))

    def outcome(self, started: float) -> Outcome:
        """What a person wants to see of it; `started` is the monotonic clock's at the begin."""
        outcome = Outcome(duration=(time.monotonic() - started) * 1000)
        outcome.add(self)
        return outcome


def send(
    conn: Connection,
    text: bytes,
    copies: Iterable[memoryview] = (),
    *,
    skip: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Reply:
    """Send the text as one message and wait for all of its results; never raises for what the server answers.

    `copies` are the data of its COPY … FROM stdin statements, in order. The rows of the first `skip` statements are not
    kept. `tick` is called with the seconds gone by, about every 50 ms, while the server works; if it or a signal raises, the
    statement is cancelled, its end awaited, and the exception raised.
    On a lost connection the reply says `lost`: whether a COMMIT in the text took place is then unknown.
    """
    reply = Reply()
    pgconn = conn.pgconn
    data = iter(copies)
    kept: list[tuple[str | None, ...]] = []
    count = 0

    def note(result: pq.abc.PGresult) -> None:
        severity = _text(pgconn, result.error_field(DiagnosticField.SEVERITY))
        reply.add_notice(f"{severity}: {_text(pgconn, result.error_field(DiagnosticField.MESSAGE_PRIMARY))}")

    # Not psycopg's: it loses notices in an encoding that Python has no name for.
    handler, pgconn.notice_handler = pgconn.notice_handler, note
    try:
        pgconn.send_query(text)
        _stream(pgconn)
        started = time.monotonic()
        _wait(pgconn, started, tick, writing=True)
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
                reply.error = reply.error or psycopg.errors.error_from_result(result, encoding=_codec(pgconn))
            elif status in _PARTIAL:
                count += result.ntuples
                if reply.results >= skip and len(kept) < KEPT_ROWS:
                    kept += _rows(pgconn, result, KEPT_ROWS - len(kept))
            elif status != ExecStatus.EMPTY_QUERY:
                reply.results += 1
                if status == ExecStatus.COMMAND_OK:
                    reply.rows = result.command_tuples or 0
                if kept:
                    names = tuple(_text(pgconn, result.fname(i)) or "" for i in range(result.nfields))
                    reply.add_table(Rows(names, tuple(kept), count))
                kept, count = [], 0
    except psycopg.OperationalError as error:
        reply.error = reply.error or error
    except BaseException:
        _cancel(conn)
        raise
    finally:
        pgconn.notice_handler = handler
    reply.lost = pgconn.status == pq.ConnStatus.BAD
    return reply


def leaves_open(conn: Connection, error: psycopg.Error) -> bool:
    """Whether what was sent before the error may have been done, or not: the connection was lost, or it is the client's."""
    return conn.closed or _is_the_clients(error)


def _is_the_clients(error: psycopg.Error) -> bool:
    """Whether it is no error of the server's, which have an SQLSTATE: a result that does not fit into memory, say."""
    return error.sqlstate is None


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
        _look(pgconn, started, tick, writing=writing)


def _look(
    pgconn: pq.abc.PGconn, started: float, tick: Callable[[float], None] | None, *, writing: bool = False
) -> None:
    """Read what has come, or comes soon."""
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
        if size == 0:  # while a COPY sends, libpq is never busy
            _look(pgconn, started, tick)


def _stream(pgconn: pq.abc.PGconn) -> None:
    """Have the rows of all results of the query just sent handed over bit by bit."""
    if pq.version() >= 170000:
        pgconn.set_chunked_rows_mode(KEPT_ROWS)
    else:
        pgconn.set_single_row_mode()


def _rows(pgconn: pq.abc.PGconn, result: pq.abc.PGresult, limit: int) -> list[tuple[str | None, ...]]:
    return [
        tuple(_text(pgconn, result.get_value(row, column)) for column in range(result.nfields))
        for row in range(min(result.ntuples, limit))
    ]


def _text(pgconn: pq.abc.PGconn, value: bytes | None) -> str | None:
    r"""A text of the server's; bytes that are none in the client encoding are shown as \xe9.

    A SET client_encoding is known here only from the end of its message on.
    """
    return None if value is None else value.decode(_codec(pgconn), "backslashreplace")


def _codec(pgconn: pq.abc.PGconn) -> str:
    return encoding.codec((pgconn.parameter_status(b"client_encoding") or b"UTF8").decode()) or "utf-8"


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
