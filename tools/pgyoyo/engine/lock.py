"""One runner at a time: an advisory lock on the session that runs the SQL, and yoyo's lock row beside it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from psycopg import Connection, Error, errors, sql

from pgyoyo.engine import connection, ledger, pooler, read_only, wire
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import LockedError, PgyoyoError

# The pid check comes first: behind a transaction pooler the lock would be left on a server session of somebody else's.
_TRY = """
SELECT s.pid, CASE WHEN s.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4 AND NOT s.only_reads
    THEN pg_catalog.pg_try_advisory_lock(%(key)s::pg_catalog.int8) END, s.only_reads
FROM (
    SELECT pg_catalog.pg_backend_pid(),
        pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool
) AS s (pid, only_reads)
"""
_HOLDER = """
SELECT a.pid, a.application_name, a.usename, a.client_addr,
       pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) l.pid
WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted AND l.database OPERATOR(pg_catalog.=) (
    SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
  AND l.classid::bigint OPERATOR(pg_catalog.<<) 32 OPERATOR(pg_catalog.|) l.objid::bigint
      OPERATOR(pg_catalog.=) %(key)s::pg_catalog.int8
  AND l.objsubid OPERATOR(pg_catalog.=) 1::pg_catalog.int2
"""
# A negative pid is one of ours; whoever holds the advisory lock knows that such a row was left by a dead process.
ROW = """
INSERT INTO {table} AS l (locked, ctime, pid)
VALUES (1, pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', OPERATOR(pg_catalog.-) pg_catalog.pg_backend_pid())
ON CONFLICT (locked) DO UPDATE SET ctime = excluded.ctime, pid = excluded.pid WHERE l.pid OPERATOR(pg_catalog.<) 0 RETURNING 1
"""

_SWEEP = "DELETE FROM {table} WHERE pid OPERATOR(pg_catalog.<) 0 AND pg_catalog.pg_try_advisory_xact_lock({key})"
_UNLOCK = "SELECT pg_catalog.pg_advisory_unlock({key}) FROM pg_catalog.generate_series(1, {times})"

_OWN_ROW = "DELETE FROM {table} WHERE pid OPERATOR(pg_catalog.=) (OPERATOR(pg_catalog.-) pg_catalog.pg_backend_pid())"


@dataclass(slots=True)
class Held:
    """How often the session has the advisory lock: each migration takes it once more, in case its file released it; and the
    pid of its process on the server. `row` takes yoyo's lock row back, where there is one to take back."""

    times: int = 1
    pid: int = 0
    row: sql.Composed | None = None


# How long a new session may take to remove the lock row of a lost one, in seconds.
_SOON = 5.0


@contextmanager
def hold(
    conn: Connection, schema: str, *, wait: float, say: Callable[[str], None], since: float | None = None
) -> Iterator[Held]:
    """Hold the advisory lock of a ledger's schema; it ends with the session at the latest.

    It is polled: a session that blocks in pg_advisory_lock holds a snapshot, for which CREATE INDEX CONCURRENTLY waits.
    Raises LockedError after `wait` seconds, `since` a time of the monotonic clock or from now on, with the holder's name,
    and ConnectError behind a transaction pooler or where nothing can be written.
    """
    values = {"pid": conn.info.backend_pid, "key": key_of(schema)}

    def attempt() -> bool:
        [(pid, is_ours, only_reads)] = conn.execute(_TRY, values).fetchall()
        if only_reads:
            read_only.refuse(conn)
        if pid == values["pid"]:
            return bool(is_ours)
        if values["pid"] != conn.info.backend_pid:
            raise pooler.refusal()
        pooler.refuse_transaction_pooling(conn, pid)
        values["pid"] = pid
        return attempt()

    _poll(attempt, lambda: _holder(conn, values["key"]), wait=wait, say=say, since=since)
    held = Held(pid=values["pid"])
    try:
        yield held
    finally:
        unlock = sql.SQL(_UNLOCK).format(key=values["key"], times=held.times)
        try:
            _release(conn, sql.SQL(";\n").join([*filter(None, [held.row]), unlock]))
        except Error as error:
            _release(conn, unlock)
            if error.sqlstate is not None:  # else the server did it, and only its answer could not be read
                if not isinstance(error, errors.UndefinedTable | errors.InsufficientPrivilege):
                    raise
                # A file dropped the table, renamed its schema, or took the right away; what was committed is recorded.
                say(f"yoyo's lock row in {schema}.yoyo_lock could not be taken back: {error.diag.message_primary}")


@contextmanager
def row(
    conn: Connection,
    schema: str,
    held: Held,
    *,
    wait: float,
    say: Callable[[str], None],
    since: float | None = None,
    quickly: Callable[[], bool] = lambda: False,
    prepare: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold yoyo's lock row, so that the plain yoyo waits; only inside `hold`, at whose end it goes.

    A row with a positive pid is a plain yoyo at work, or one that died: it is waited for, never taken away. `quickly` may
    write the row; where it did not, `prepare` sees to its table.
    """
    table = sql.SQL(f"{schema}.yoyo_lock")  # the server quoted it (regnamespace)

    def attempt() -> bool:
        return conn.execute(sql.SQL(ROW).format(table=table)).fetchone() is not None

    def holder() -> str:
        row = conn.execute(sql.SQL("SELECT l.pid, l.ctime FROM {table} AS l").format(table=table)).fetchone()
        if row is None:
            return ""
        return (
            f"the plain yoyo (process {row[0]}, since {row[1]:%Y-%m-%d %H:%M:%S} UTC); if that process is dead, "
            "yoyo break-lock removes what it left"
        )

    try:
        # Before: a signal may come when the row is written, but this not yet known.
        held.row = sql.SQL(_OWN_ROW).format(table=table)
        if not quickly():
            held.row = None
            prepare()
            held.row = sql.SQL(_OWN_ROW).format(table=table)
            _poll(attempt, holder, wait=wait, say=say, since=since)
        yield
    finally:
        if conn.broken:
            # A look-up in a new session would have closed this one, and swept.
            with suppress(PgyoyoError, Error), after_loss(connection.to_reconnect(conn), schema, wait=_SOON, say=say):
                pass


def sweep(conn: Connection, schema: str) -> None:
    """Remove the row that a dead runner of ours left, for a run with nothing to do, unless another runner is at work."""
    with suppress(errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.UndefinedTable):
        conn.execute(sql.SQL(_SWEEP).format(table=sql.SQL(f"{schema}.yoyo_lock"), key=key_of(schema)))


@contextmanager
def after_loss(conninfo: str, schema: str, *, say: Callable[[str], None], wait: float = 60.0) -> Iterator[Connection]:
    """A new session once the lost one has ended, to look up what it did; the lock row it left is gone.

    The lost session may still be at work, and commit, after its client lost it: the advisory lock that it holds shows when
    it has ended. Raises ConnectError or LockedError where no server that can write, or not the lock, is to be had within
    `wait` seconds.
    """
    until = time.monotonic() + wait
    while True:
        with connection.connect(conninfo, wait=until - time.monotonic()) as conn:
            # One of several hosts may be a standby that is being promoted.
            if not read_only.is_standby(conn) or time.monotonic() >= until:
                with hold(conn, schema, wait=wait, say=say):
                    # It is worth no waiting for a standby that may be what is down.
                    conn.execute("SET synchronous_commit = off")
                    sweep(conn, schema)
                    yield conn
                return
        time.sleep(1.0)


def found_after_loss(conninfo: str, schema: str, migration_hash: str, say: Callable[[str], None]) -> bool:
    """Whether the ledger has a migration, asked `after_loss`; raises as that does."""
    with after_loss(conninfo, schema, say=say) as conn:
        return bool(ledger.execute(conn, "is_applied", schema, {"hash": migration_hash})[0][0])


def _release(conn: Connection, query: sql.Composed) -> None:
    """Run it, whatever a signal left behind, and again where one comes just then; a lost session has released all."""
    if conn.closed:
        return
    try:
        wire.clear(conn)
        conn.execute(query)
    except KeyboardInterrupt:
        wire.clear(conn)
        conn.execute(query)
        raise
    except errors.OperationalError:
        if not conn.closed:
            raise


def _poll(
    attempt: Callable[[], bool],
    holder: Callable[[], str],
    *,
    wait: float,
    say: Callable[[str], None],
    since: float | None,
) -> None:
    started = time.monotonic() if since is None else since
    reported = ""
    while not attempt():
        name = holder()
        if name and name != reported:
            say(f"waiting for the lock, held by {name}")
            reported = name
        if time.monotonic() - started >= wait:
            raise LockedError(
                f"the database is locked by {reported or 'another runner'}; waited {wait:g} s. "
                "Try again when it is done, or wait longer: --wait 10min"
            )
        time.sleep(0.2)


def _holder(conn: Connection, key: int) -> str:
    try:
        row = conn.execute(_HOLDER, {"key": key}).fetchone()
    except errors.InsufficientPrivilege:
        return "another session"
    if row is None:
        return ""
    pid, application, user, address, since = row
    facts = [application or "no application name", f"user {user or 'unknown'}"]
    if since:
        # Without pg_monitor both are NULL; of another role's session it is not known that it is local.
        facts += [str(address or "local"), f"since {since} UTC"]
    return f"pid {pid} ({', '.join(facts)})"
