"""A database that another tool made, with its ledger, is taken over: same catalog, the right migrations recorded."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgyoyo.catalog import snapshot
from pgyoyo.importing import ledgers

HERE = Path(__file__).parent
PROJECTS, RECORDED = HERE / "projects", HERE / "recorded"
SOURCES = {"alembic": "alembic/upgrade.sql"}


def recorded(tool: str, conn: psycopg.Connection) -> None:
    """Makes what the tool made of its project, but for the last migration."""
    conn.execute((RECORDED / f"{tool}.sql").read_bytes())


def imported(tool: str, run_here: Callable, *args: str) -> str:
    result = run_here("import", tool, PROJECTS / SOURCES.get(tool, tool), *args)
    assert result.code == 0, result.err
    return str(result.out)


@pytest.mark.parametrize("tool", sorted(path.name for path in PROJECTS.iterdir()))
def test_database_of_another_tool_is_adopted_and_goes_on(
    tool: str, conn: psycopg.Connection, database: str, server_conninfo: str, tmp_path: Path, run_here: Callable
) -> None:
    recorded(tool, conn)
    options = ("--database", database, "--scratch", server_conninfo)
    ids = sorted(line.split("/")[-1] for line in imported(tool, run_here).splitlines() if line.startswith("wrote"))
    ids = [name.removesuffix(".sql") for name in ids if "post-apply" not in name]
    assert run_here("status", "--database", database).out.endswith(
        f"0 applied, {len(ids)} pending; next: pgyoyo adopt\n"
    )
    refused = run_here("apply", "--database", database)
    assert (refused.code, refused.err.count("Take it over first: pgyoyo adopt")) == (4, 1)
    adopted = run_here("adopt", *options)
    assert adopted.code == 0, adopted.out
    assert adopted.out.count("which the database has") == len(ids) - 1
    assert f"the ledger of {tool}, is not needed any more" in adopted.out
    status = run_here("status", "--database", database).out
    assert (status.count("marked, not run"), f"pending  {ids[-1]}" in status) == (len(ids) - 1, True)
    assert run_here("apply", "--database", database).code == 0
    verified = run_here("verify", *options)
    assert (verified.code, f", the ledger of {tool}, is left out" in verified.out) == (0, True), verified.out
    assert run_here("check").code == 0
    if tool not in ("prisma", "drizzle", "golang-migrate", "flyway"):  # these have no way back for the last one
        assert run_here("rollback", "--database", database, "--yes").code == 0


def test_what_differs_is_shown_and_nothing_is_recorded(
    conn: psycopg.Connection, database: str, server_conninfo: str, run_here: Callable
) -> None:
    recorded("dbmate", conn)
    conn.execute("CREATE TABLE by_hand (id integer)")
    imported("dbmate", run_here)
    result = run_here("adopt", "--database", database, "--scratch", server_conninfo)
    assert result.code == 4
    assert "table public.by_hand: only in the database" in result.out
    assert "nothing was recorded; taken from public.schema_migrations, the ledger of dbmate: 3 migrations" in result.out
    assert "schema_migrations" not in result.out.partition("nothing was recorded")[0]
    assert conn.execute("SELECT to_regclass('_yoyo_migration')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("tool", "change", "words"),
    [
        ("golang-migrate", "UPDATE schema_migrations SET dirty = true", "is dirty: version 10 failed halfway"),
        (
            "flyway",
            "UPDATE flyway_schema_history SET success = false WHERE version = '10'",
            "has a failed row for version 10",
        ),
        (
            "prisma",
            "UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name LIKE '%nothing'",
            "has a failed migration: 20240103120000_nothing",
        ),
        ("alembic", "UPDATE alembic_version SET version_num = 'fff'", "is at revision fff, which was not imported"),
    ],
)
def test_ledger_with_a_failed_migration_is_not_believed(
    tool: str,
    change: str,
    words: str,
    conn: psycopg.Connection,
    database: str,
    server_conninfo: str,
    run_here: Callable,
) -> None:
    recorded(tool, conn)
    conn.execute(change)
    assert words in imported(tool, run_here, "--database", database)
    for command in (("apply",), ("adopt", "--scratch", server_conninfo)):
        result = run_here(*command, "--database", database)
        assert (result.code, words in result.err) == (4, True)
    ids = run_here("status", "--database", database).out
    last = [line.split()[1] for line in ids.splitlines() if line.startswith("pending")][-2]
    assert run_here("adopt", "--database", database, "--scratch", server_conninfo, "--to", last).code == 0


# --- The tools themselves, where they are installed. ---


def dbmate(folder: Path, url: str) -> list[str]:
    (folder / "20250101000000_create_orders.sql").unlink()
    return ["dbmate", "--url", url, "--no-dump-schema", "--migrations-dir", str(folder), "up"]


def sqitch(folder: Path, url: str) -> list[str]:
    return ["sqitch", "deploy", "--no-verify", "--to", "@HEAD^", url.replace("postgres:", "db:pg:")]


RUN = {"dbmate": dbmate, "sqitch": sqitch}
HERE_NOW = [tool for tool in RUN if shutil.which(tool)]


NONE = pytest.param("", marks=pytest.mark.skip(reason=f"none of {', '.join(RUN)} is installed"))


@pytest.mark.parametrize("tool", HERE_NOW or [NONE])
def test_tool_still_makes_what_was_recorded(
    tool: str, new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kept = new_database(), new_database()
    to = conninfo_to_dict(made)
    folder = Path(shutil.copytree(PROJECTS / tool, tmp_path / tool))
    libpq = {f"PG{name}": str(to[name.lower()]) for name in ("HOST", "PORT", "USER") if name.lower() in to}
    env = {**os.environ, "SQITCH_FULLNAME": "Ann", "SQITCH_EMAIL": "ann@example.com", **libpq}
    host = f"?socket={to['host']}&port={to['port']}&sslmode=disable"
    url = f"postgres://{to['user']}@/{to['dbname']}{host}" if tool == "dbmate" else f"postgres:{to['dbname']}"
    done = subprocess.run(RUN[tool](folder, url), cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(made, autocommit=True) as conn, psycopg.connect(kept, autocommit=True) as other:
        recorded(tool, other)
        assert snapshot.difference(snapshot.snapshot(other), snapshot.snapshot(conn)) == []


def test_ledgers_that_list_their_migrations(conn: psycopg.Connection) -> None:
    conn.execute("""
        CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp);
        INSERT INTO __diesel_schema_migrations VALUES ('00000000000000'), ('20240102030405');
        CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, success boolean, checksum bytea);
        INSERT INTO _sqlx_migrations VALUES (1, true), (20240102, false);
        CREATE TABLE refinery_schema_history (version int PRIMARY KEY, name varchar, applied_on varchar, checksum varchar);
        INSERT INTO refinery_schema_history VALUES (1), (3);
        CREATE TABLE pgmigrations (id serial PRIMARY KEY, name varchar(255), run_on timestamp);
        INSERT INTO pgmigrations (name) VALUES ('1_a.b');
    """)
    names = {
        "diesel": ("00000000000000_a", "2024-01-02-030405_b", "2024-01-03-000000_c"),
        "sqlx": ("0001_a.up.sql", "20240102_b.sql", "2_c.sql"),
        "refinery": ("V1__a.sql", "V2__b.sql", "U3__c.sql"),
        "node-pg-migrate": ("1_a", "1_a.b"),
    }
    records = {ledger.tool: ledgers.read(conn, ledger, names[ledger.tool]) for ledger in ledgers.find(conn)}
    assert {tool: sorted(record.applied) for tool, record in records.items()} == {
        "diesel": ["00000000000000_a", "2024-01-02-030405_b"],
        "sqlx": ["0001_a.up.sql"],
        "refinery": ["U3__c.sql", "V1__a.sql"],
        "node-pg-migrate": ["1_a.b"],
    }
    failed = {tool: record.failed for tool, record in records.items() if record.failed}
    assert failed == {"sqlx": "has a failed row for version 20240102"}
