"""How fast the machine of the scratch server scans, rewrites, builds indexes and updates rows."""

import time
from collections.abc import Callable

from psycopg import Connection

from pgyoyo.engine import connection
from pgyoyo.review.estimate import Rates
from pgyoyo.review.spans import Span
from pgyoyo.scratch import databases

# Of about a hundred bytes, and twice four times as many.
ROWS = (4_000, 16_000, 64_000)


def rates(admin: Connection) -> Rates:
    """The rates of a machine, measured on tables of three sizes in a scratch database; half a second on an idle one."""
    seen: dict[str, list[float]] = {}
    with databases.database(admin) as conninfo, connection.connect(conninfo) as conn:
        conn.execute("SET search_path = pg_catalog, pg_temp")
        conn.execute("SET jit = off; SET max_parallel_maintenance_workers = 0; SET synchronous_commit = off")
        for count in ROWS:
            for name, rate in _measured(conn, count).items():
                seen.setdefault(name, []).append(rate)
    return Rates(**{name: Span(min(values), max(values)) for name, values in seen.items()})


def _measured(conn: Connection, count: int) -> dict[str, float]:
    conn.execute("DROP TABLE IF EXISTS public.measured")
    # The keys come in no order, as they do in a table.
    rows = "SELECT n AS id, n::bigint * 7919 % 100003 AS key, repeat('x', 60) AS text FROM generate_series(1, %s) AS n"
    conn.execute(f"CREATE TABLE public.measured AS {rows}".replace("%s", str(count)).encode())
    conn.execute("ANALYZE public.measured")
    row = conn.execute("SELECT pg_table_size('public.measured')").fetchone()
    assert row
    timed = _timer(conn)
    return {
        "scan": timed("ALTER TABLE public.measured ADD CHECK (key >= 0)") / row[0],
        "rewrite": timed("ALTER TABLE public.measured ALTER id TYPE bigint") / row[0],
        "build": timed("CREATE INDEX ON public.measured (key)") / count,
        "change": timed("UPDATE public.measured SET key = key + 1") / count,
    }


def _timer(conn: Connection) -> Callable[[str], float]:
    def timed(statement: str) -> float:
        started = time.monotonic()
        conn.execute(statement.encode())
        return time.monotonic() - started

    return timed
