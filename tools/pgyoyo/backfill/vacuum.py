"""VACUUM between batches, which never takes the lock that cutting off empty pages needs."""

import psycopg

from pgyoyo.backfill.batch import Batches


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
