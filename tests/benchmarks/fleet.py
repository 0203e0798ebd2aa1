"""One small migration over many schemas: pgyoyo fleet beside a loop of processes and beside one session of psql.

    python tests/benchmarks/fleet.py [--schemas 1000 | --databases 200] [--loop 50] [--kills 20]

On an embedded PostgreSQL 18 of its own in memory, which is removed afterwards. The loops run over `--loop` members, and are
shown for all of them by proportion. With kills, the runner is killed at random moments while it applies to the schemas on two
servers, or, every fourth time, one of the servers is stopped; then a last run finishes, and what each member has is counted.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgyoyo.server import in_memory
from pgyoyo.server.postgres import EmbeddedServer

PGYOYO = Path(sys.executable).parent / "pgyoyo"
MIGRATION = "ALTER TABLE orders ADD COLUMN note text;\n"
SETTINGS = {"autovacuum": "off", "shared_buffers": "512MB", "max_locks_per_transaction": "256"}

# Nothing of the caller's may name another server.
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}


def main() -> None:
    parser = argparse.ArgumentParser(description="A fleet beside loops of processes.")
    parser.add_argument("--schemas", type=int, default=1000, metavar="N")
    parser.add_argument("--databases", type=int, default=0, metavar="N", help="members are so many databases instead")
    parser.add_argument("--loop", type=int, default=50, metavar="N", help="members that the loops run over (50)")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill the runner so often (0)")
    chosen = parser.parse_args()
    count = chosen.databases or chosen.schemas
    with place() as (home, server):
        if chosen.kills:
            kills(home, server, chosen.kills, chosen.schemas)
        else:
            times(home, server, count, min(chosen.loop, count), are_databases=bool(chosen.databases))


@contextmanager
def place() -> Iterator[tuple[Path, EmbeddedServer]]:
    """A folder with a project of two migrations, and a server."""
    memory = Path(tempfile.mkdtemp(prefix="pgyoyo-fleet-", dir=in_memory.MEMORY if in_memory.MEMORY.exists() else None))
    memory.chmod(0o711)
    server = EmbeddedServer(memory / "server", settings=SETTINGS | in_memory.FAST)
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


@dataclass(frozen=True)
class Tenants:
    """Members for one measurement: how a fleet names them, the conninfo of each, and what takes psql there."""

    fleet: Sequence[str | Path]
    conninfos: Sequence[str]
    moves: Sequence[str]


def tenants(home: Path, server: EmbeddedServer, name: str, count: int, *, are_databases: bool) -> Tenants:
    """New members: schemas of one database, or databases."""
    names = [f"tenant_{number:04}" for number in range(count)]
    if not are_databases:
        database = schemas(server, name, count)
        conninfos = [make_conninfo(database, options=f"-csearch_path={each}") for each in names]
        moves = [f"SET search_path = {each};\n" for each in names]
        return Tenants(["--database", database, "--schemas", "tenant_%"], conninfos, moves)
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        for each in names:
            conn.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(f"{name}_{each}")))
    conninfos = [server.conninfo(f"{name}_{each}") for each in names]
    (home / name).write_text("".join(f"{each}\n" for each in conninfos))
    return Tenants(["--databases", home / name], conninfos, [f"\\connect {name}_{each}\n" for each in names])


def times(home: Path, server: EmbeddedServer, count: int, loop: int, *, are_databases: bool) -> None:
    """Print the table."""
    files, psql = home / "sql", server.binary("psql")
    ours = tenants(home, server, "ours", count, are_databases=are_databases)
    plain = tenants(home, server, "plain", count, are_databases=are_databases)
    again = tenants(home, server, "again", loop, are_databases=are_databases)
    common = ["--migrations", files, "--jobs", "8", "-q"]
    first = run([PGYOYO, "fleet", "apply", *common, *ours.fleet])
    run([PGYOYO, "fleet", "apply", *common, *again.fleet])
    session = [psql, "-qX", "-v", "ON_ERROR_STOP=1", "-d", plain.conninfos[0]]
    run(session, "".join(f"{move}CREATE TABLE orders (id bigint PRIMARY KEY, email text);\n" for move in plain.moves))
    second(files)
    whole = run([PGYOYO, "fleet", "apply", *common, *ours.fleet])
    nothing = run([PGYOYO, "fleet", "apply", *common, *ours.fleet])
    status = run([PGYOYO, "fleet", "status", *common, *ours.fleet])
    parts = [f"BEGIN; {MIGRATION} COMMIT;\n" for _ in plain.moves]
    floor = run(session, "".join(move + part for move, part in zip(plain.moves, parts, strict=True)))
    run(session, "".join(f"{move}ALTER TABLE orders DROP COLUMN note;\n" for move in plain.moves[:loop]))
    each = sum(run([psql, "-qX", "-d", own], part) for own, part in zip(plain.conninfos[:loop], parts, strict=False))
    shell = sum(run([PGYOYO, "apply", "--migrations", files, "-q", "--database", own]) for own in again.conninfos)
    print(f"{count} {'databases' if are_databases else 'schemas'}, 8 jobs, one small migration:\n")
    for name, seconds in (
        ("(c) one session of psql", floor),
        ("(b) a process of psql each, in turn", each * count / loop),
        ("(a) a process of pgyoyo each, in turn", shell * count / loop),
        ("pgyoyo fleet apply", whole),
        ("the first one, which makes the ledgers", first),
        ("nothing to do", nothing),
        ("pgyoyo fleet status", status),
    ):
        print(f"  {seconds:7.2f} s  {seconds / floor:6.2f} x (c)  {1000 * seconds / count:7.2f} ms each  {name}")


def kills(home: Path, server: EmbeddedServer, count: int, members: int) -> None:
    """Kill the runner so often, and stop one of two servers under it; then let one run finish, and print what is found."""
    files = home / "sql"
    another = EmbeddedServer(home / "another", settings=SETTINGS | in_memory.FAST)
    another.ensure_running(lambda _: None)
    try:
        targets = [schemas(each, f"killed{number}", members) for number, each in enumerate((server, another))]
        listed = home / "databases.txt"
        listed.write_text("".join(f"{target}\n" for target in targets))
        (files / "0002_note.sql").unlink(missing_ok=True)
        fleet = [
            PGYOYO, "fleet", "apply", "--migrations", files, "--databases", listed, "--schemas", "tenant_%", "--jobs", "8",
            "--format", "json", "--max-failures", "0", "--canary", "0",
        ]  # fmt: skip
        chance, hits, lies, stops = random.Random(11), 0, 0, 0
        for number in range(2, count + 2):
            name = f"{number:04}_c"
            (files / f"{name}.sql").write_text(f"ALTER TABLE orders ADD COLUMN c{number} int;\n")
            (files / f"{name}.rollback.sql").write_text(f"ALTER TABLE orders DROP COLUMN c{number};\n")
            output = home / "output"
            with output.open("wb") as out:
                process = subprocess.Popen([*map(str, fleet)], env=ENVIRON, stdout=out, stderr=subprocess.DEVNULL)
            time.sleep(0.4 + chance.random() * members / 50)
            if process.poll() is None:
                hits += 1
                if number % 4 == 3:
                    another.stop()
                    stops += 1
                    process.wait()
                    another.ensure_running(lambda _: None)
                else:
                    process.kill()
            process.wait()
            lies += lied(output.read_text(), targets)
        last = subprocess.run([*map(str, fleet)], env=ENVIRON, capture_output=True, text=True, check=False)
        wrong = 0
        for target in targets:
            with psycopg.connect(target) as conn:
                wrong += sum(not is_whole(conn, member, count + 1) for member in range(members))
        states = Counter(json.loads(line)["state"] for line in last.stdout.splitlines())
        print(
            f"{2 * members} members on two servers; {hits} of {count} runs were hit, {stops} of them by stopping a server"
        )
        print(f"the last run ended with {last.returncode}: {dict(states)}")
        print(f"{wrong} members half done, without a row, or with a migration twice; {lies} false lines in the reports")
    finally:
        another.stop()


def lied(output: str, targets: Sequence[str]) -> int:
    """How many members have not applied what the report says that they did."""
    lies = 0
    visits = [json.loads(line) for line in output.splitlines() if line.endswith("}")]
    for target in targets:
        with psycopg.connect(target) as conn:
            for visit in visits:
                if visit["database"] == conn.info.dbname and visit["ran"]:
                    query = sql.SQL("SELECT migration_id FROM {}._yoyo_migration").format(
                        sql.Identifier(visit["schema"])
                    )
                    lies += not set(visit["ran"]) <= {name for (name,) in conn.execute(query)}
    return lies


def is_whole(conn: psycopg.Connection, member: int, migrations: int) -> bool:
    """Whether a member has each migration once, in the log, the ledger and the table."""
    name = f"tenant_{member:04}"
    logged = conn.execute(f"SELECT migration_id FROM {name}._yoyo_log".encode()).fetchall()
    applied = conn.execute(f"SELECT migration_id FROM {name}._yoyo_migration".encode()).fetchall()
    columns = conn.execute(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attname ~ '^c[0-9]'", [f"{name}.orders"]
    ).fetchone()
    return len(logged) == len(applied) == len({*logged, *applied}) == migrations and columns == (migrations - 1,)


if __name__ == "__main__":
    main()
