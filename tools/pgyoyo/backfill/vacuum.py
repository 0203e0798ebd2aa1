"""VACUUM between batches and at the end, which never takes the lock that cutting off empty pages needs."""

import psycopg

from pgyoyo.backfill.batch import Batches
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Table


def vacuum(batches: Batches, table: str, options: str = "") -> None:
    """Make room where dead rows were; a note says so where another session's lock keeps it from that for five seconds."""
    conn = batches.runner.conn
    batches.shown(f"vacuum {table}")
    try:
        conn.execute("SET lock_timeout = '5s'")
        conn.execute(f"VACUUM ({options}TRUNCATE FALSE) {table}".encode())
    except psycopg.errors.LockNotAvailable:
        batches.runner.observer.note(f"{table} was not vacuumed: another session alters or vacuums it")
    finally:
        if not conn.closed:
            conn.execute("RESET lock_timeout")


def last_vacuum(batches: Batches, table: Table, gone: int) -> None:
    """VACUUM and ANALYZE a table that is done.

    Where so many rows were deleted (`gone`) that an autovacuum comes for them, both are left to that, which minds its cost
    limits, as after one DELETE: to clear the indexes takes half as long as the DELETE.
    """
    if gone:
        values = {"oid": table.oid, "gone": gone}
        if batches.runner.conn.execute(queries()["autovacuum_comes"].encode(), values).fetchone() == (True,):
            return
    vacuum(batches, table.name, "ANALYZE, ")
