"""One small migration over many schemas: pgyoyo fleet beside a loop of processes and beside one session of psql.

    python tests/benchmarks/fleet.py [--schemas 1000] [--loop 50] [--kills 20]

On an embedded PostgreSQL 18 of its own in memory, which is removed afterwards. The loops run over `--loop` schemas, and are
shown for all of them by proportion. With kills, the runner is killed that often at random moments while it applies to the
schemas of two databases; then a last run finishes, and what each member has is counted.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgyoyo.server import tests_server
from pgyoyo.server.postgres import EmbeddedServer

PGYOYO = Path(sys.executable).parent / "pgyoyo"
MIGRATION = "ALTER TABLE orders ADD COLUMN note text;\n"
SETTINGS = {"autovacuum": "off", "shared_buffers": "512MB", "max_locks_per_transaction": "256"}

# Nothing of the caller's may name another server.
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}


def main() -> None:
    parser = argparse.ArgumentParser(description="A fleet beside loops of processes.")
    parser.add_argument("--schemas", type=int, default=1000, metavar="N")
    parser.add_argument("--loop", type=int, default=50, metavar="N", help="schemas that the loops run over (50)")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill the runner so often (0)")
    chosen = parser.parse_args()
    with place() as (home, server):
        if chosen.kills:
            kills(home, server, chosen.kills, chosen.schemas)
        else:
            times(home, server, chosen.schemas, min(chosen.loop, chosen.schemas))


@contextmanager
def place() -> Iterator[tuple[Path, EmbeddedServer]]:
    """A folder with a project of two migrations, and a server."""
    memory = Path(
        tempfile.mkdtemp(prefix="pgyoyo-fleet-", dir=tests_server.MEMORY if tests_server.MEMORY.exists() else None)
    )
    memory.chmod(0o711)
    server = EmbeddedServer(memory / "server", settings=SETTINGS | tests_server.FAST)
    files = memory / "sql"
    files.mkdir()
    (files / "0001_orders.sql").write_text("CREATE TABLE orders (id bigint PRIMARY KEY, email text);\n")
    (files / "0001_orders.rollback.sql").write_text("DROP TABLE orders;\n")
    try:
        server.ensure_running(lambda _: None)
        yield memory, server
    finally:
        server.stop()
        shutil.rmtree(memory)


def schemas(server: EmbeddedServer, dbname: str, count: int) -> str:
    """The conninfo of a new database with so many empty schemas."""
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dbname)))
    with psycopg.connect(server.conninfo(dbname)) as conn:
        for number in range(count):
            conn.execute(f"CREATE SCHEMA tenant_{number:04}".encode())
    return server.conninfo(dbname)


def second(files: Path) -> None:
    """Add the migration that is measured."""
    (files / "0002_note.sql").write_text("-- depends: 0001_orders\n" + MIGRATION)
    (files / "0002_note.rollback.sql").write_text("ALTER TABLE orders DROP COLUMN note;\n")


def run(args: Sequence[str | Path], text: str | None = None) -> float:
    """The seconds of a process; it must succeed."""
    started = time.monotonic()
    done = subprocess.run([*map(str, args)], input=text, capture_output=True, text=True, env=ENVIRON, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, args))}: {done.stderr or done.stdout}")
    return time.monotonic() - started


def times(home: Path, server: EmbeddedServer, count: int, loop: int) -> None:
    """Print the table."""
    files, psql = home / "sql", server.binary("psql")
    fleet = [
        PGYOYO,
        "fleet",
        "apply",
        "--migrations",
        files,
        "--schemas",
        "tenant_%",
        "--jobs",
        "8",
        "-q",
        "--database",
    ]
    ours, plain = schemas(server, "ours", count), schemas(server, "plain", count)
    first = run([*fleet, ours])
    with psycopg.connect(plain) as conn:
        for number in range(count):
            conn.execute(f"CREATE TABLE tenant_{number:04}.orders (id bigint PRIMARY KEY, email text)".encode())
    second(files)
    whole = run([*fleet, ours])
    nothing = run([*fleet, ours])
    status = run([PGYOYO, "fleet", "status", "--migrations", files, "--schemas", "tenant_%", "--database", ours])
    parts = [f"SET search_path = tenant_{number:04}; BEGIN; {MIGRATION} COMMIT;\n" for number in range(count)]
    floor = run([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-d", plain], "".join(parts))
    with psycopg.connect(plain) as conn:
        for number in range(loop):
            conn.execute(f"ALTER TABLE tenant_{number:04}.orders DROP COLUMN note".encode())
    each = sum(run([psql, "-qX", "-d", plain], part) for part in parts[:loop]) * count / loop
    again = schemas(server, "again", loop)
    shell = 0.0
    for number in range(loop):
        own = make_conninfo(again, options=f"-csearch_path=tenant_{number:04}")
        shell += run([PGYOYO, "apply", "--migrations", files, "--database", own, "-q"])
    shell *= count / loop
    print(f"{count} schemas, 8 jobs, one small migration:\n")
    for name, seconds in (
        ("(c) one session of psql", floor),
        ("(b) a process of psql each, in turn", each),
        ("(a) a process of pgyoyo each, in turn (both migrations)", shell),
        ("pgyoyo fleet apply", whole),
        ("the first one, which makes the ledgers", first),
        ("nothing to do", nothing),
        ("pgyoyo fleet status", status),
    ):
        print(f"  {seconds:7.2f} s  {seconds / floor:6.2f} x (c)  {name}")


def kills(home: Path, server: EmbeddedServer, count: int, members: int) -> None:
    """Kill the runner so often, then let one finish; print what is found."""
    files = home / "sql"
    targets = [schemas(server, f"killed{number}", members) for number in range(2)]
    listed = home / "databases.txt"
    listed.write_text("".join(f"{server.url(f'killed{number}')}\n" for number in range(2)))
    second(files)
    fleet = [
        PGYOYO,
        "fleet",
        "apply",
        "--migrations",
        files,
        "--databases",
        listed,
        "--schemas",
        "tenant_%",
        "--jobs",
        "8",
    ]
    chance, hits = random.Random(11), 0
    for _ in range(count):
        process = subprocess.Popen(
            [*map(str, fleet)], env=ENVIRON, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(0.3 + chance.random() * members / 100)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hits += 1
    last = subprocess.run([*map(str, fleet)], env=ENVIRON, capture_output=True, text=True, check=False)
    wrong = twice = 0
    for target in targets:
        with psycopg.connect(target) as conn:
            for number in range(members):
                name = f"tenant_{number:04}"
                rows = conn.execute(f"SELECT migration_id FROM {name}._yoyo_log ORDER BY 1".encode()).fetchall()
                there = conn.execute(
                    "SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attname IN ('email', 'note')",
                    [f"{name}.orders"],
                ).fetchone()
                twice += len(rows) > 2
                wrong += there != (2,) or len(rows) != 2
    print(
        f"{hits} kills of {count} hit a running fleet of {2 * members} members; the last run ended with {last.returncode}"
    )
    print(f"{wrong} members half done or without their row, {twice} with a migration twice")
    print(last.stdout.splitlines()[-3:])


if __name__ == "__main__":
    main()
