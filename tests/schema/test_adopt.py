"""Taking over a database without another tool's ledger: plain yoyo's, or none."""

from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    for number, name in enumerate("abc", start=1):
        (folder / f"000{number}_{name}.sql").write_text(f"CREATE TABLE {name} (id int);\n")
        (folder / f"000{number}_{name}.rollback.sql").write_text(f"DROP TABLE {name};\n")
    return folder


@pytest.fixture
def adopt(database: str, server_conninfo: str, run_here: Callable) -> Callable:
    return lambda *args: run_here("adopt", "--database", database, "--scratch", server_conninfo, *args)


def tables(conn: psycopg.Connection, names: Sequence[str]) -> None:
    for name in names:
        conn.execute(f"CREATE TABLE {name} (id int)")


def test_database_without_a_ledger_is_adopted_as_far_as_it_agrees(
    project: Path, conn: psycopg.Connection, database: str, server_conninfo: str, adopt: Callable, run_here: Callable
) -> None:
    tables(conn, "ab")
    warned = run_here("apply", "--database", database, "--dry-run")
    assert "this database has tables (public.a and 1 more) and no ledger" in warned.err
    shown = run_here("status", "--database", database).out
    assert shown.endswith("3 pending; next: pgyoyo adopt, if these migrations made them; else pgyoyo apply\n")
    assert run_here("apply", "--database", database, "--strict").code == 4
    whole = adopt()
    assert (whole.code, "the database is as it stands after 0002_b: pgyoyo adopt --to 0002_b" in whole.out) == (4, True)
    assert adopt("--to", "2").out.endswith("2 applied, 1 pending; next: pgyoyo apply\n")
    assert run_here("verify", "--database", database, "--scratch", server_conninfo).code == 0
    assert "no ledger" not in run_here("apply", "--database", database).err


def test_plain_yoyos_rows_get_their_texts_and_stay_its_own(
    project: Path, conn: psycopg.Connection, database: str, adopt: Callable, run_here: Callable
) -> None:
    assert run_here("apply", "--database", database, "--to", "2").code == 0
    conn.execute("DROP TABLE _pgyoyo_migration, _pgyoyo_journal, _pgyoyo_backfill")
    conn.execute("ALTER TABLE a ADD COLUMN by_hand int")
    result = adopt()
    assert (result.code, "column public.a.by_hand: only in the database" in result.out) == (4, True)
    conn.execute("ALTER TABLE a DROP COLUMN by_hand")
    assert "recorded the files of 0001_a, which plain yoyo applied" in adopt().out
    assert "nothing to do: the ledger has all of it" in adopt().out
    status = run_here("status", "--database", database).out
    assert status.count("applied by plain yoyo, adopted 20") == 2
    (project / "0001_a.sql").write_text("CREATE TABLE a (id bigint);\n")
    assert run_here("status", "--database", database).code == 4


def test_empty_database_is_not_adopted(project: Path, adopt: Callable) -> None:
    result = adopt("--to", "0003")
    assert (result.code, "table public.c: missing in the database" in result.out) == (4, True)
    assert "if none of these migrations ran there: pgyoyo apply\n" in result.out


def test_a_function_that_plain_yoyo_ran_is_adopted_once_it_is_written_as_sql(
    project: Path, conn: psycopg.Connection, database: str, adopt: Callable, run_here: Callable
) -> None:
    python = project / "0004_d.py"
    python.write_text("from yoyo import step\n\ndef f(conn):\n    pass\n\nsteps = [step(f)]\n")
    assert run_here("baseline", "--to", "4", "--yes", "--database", database).code == 0
    conn.execute("DROP TABLE _pgyoyo_migration, _pgyoyo_journal, _pgyoyo_backfill")
    tables(conn, "abcd")
    result = adopt()
    assert (result.code, "write it as SQL, as 0004_d.sql in place of the .py" in result.out) == (4, True)
    assert "pgyoyo apply" not in result.out
    python.rename(project / "0004_d.sql").write_text("CREATE TABLE d (id int);\n")
    assert "recorded the files of 0004_d, which plain yoyo applied" in adopt().out


def test_a_rollback_that_plain_yoyo_ran_forwards_is_undone_by_its_row(
    project: Path, conn: psycopg.Connection, database: str, adopt: Callable, run_here: Callable
) -> None:
    assert run_here("apply", "--database", database).code == 0
    conn.execute("DROP TABLE _pgyoyo_migration, _pgyoyo_journal, _pgyoyo_backfill, c")
    conn.execute("INSERT INTO _yoyo_migration VALUES ('h', '0003_c.rollback.', now())")
    assert "0003_c.rollback. was to roll back 0003_c, and plain yoyo ran it forwards; remove its row" in adopt().err
    assert run_here("unmark", "0003_c.rollback.", "--database", database).code == 0
    assert (adopt().code, run_here("unmark", "0003_c", "--database", database).code, adopt().code) == (4, 0, 0)
    assert run_here("apply", "--database", database).code == 0


def test_a_python_file_that_became_sql_after_its_text_was_lost_is_accepted_by_repair(
    project: Path, conn: psycopg.Connection, database: str, adopt: Callable, run_here: Callable
) -> None:
    python = project / "0004_d.py"
    python.write_text("from yoyo import step\n\ndef f(conn):\n    pass\n\nsteps = [step(f)]\n")
    tables(conn, "abcd")
    assert run_here("baseline", "--to", "4", "--yes", "--database", database).code == 0
    python.rename(project / "0004_d.sql").write_text("CREATE TABLE d (id int);\n")
    refused = adopt()
    assert "0004_d was edited after it was applied, and its text is not in the ledger; restore" in refused.err, refused
    assert run_here("repair", "0004_d", "--database", database).code == 0
    assert adopt().code == 0


def test_what_cannot_be_rebuilt_counts_as_applied_only_where_a_ledger_says_so(project: Path, adopt: Callable) -> None:
    (project / "0002_b.sql").write_text("CREATE TABLE b (id int); GRANT SELECT ON b TO no_such_role;\n")
    result = adopt()
    assert (result.code, "0002_b counts as applied here, but can't be applied on the" in result.err) == (1, True)


def test_live_database_becomes_the_first_file(
    conn: psycopg.Connection, database: str, new_database: Callable, adopt: Callable, run_here: Callable, tmp_path: Path
) -> None:
    conn.execute("""
        CREATE SCHEMA shop; CREATE TYPE shop.size AS ENUM ('s', 'l');
        CREATE TABLE shop.shirt (id serial PRIMARY KEY, size shop.size);
        CREATE MATERIALIZED VIEW shop.shirts AS SELECT count(*) FROM shop.shirt; INSERT INTO shop.shirt (size) VALUES ('s');
        CREATE TABLE django_migrations (id int, app text, name text, applied timestamptz);
        CREATE TABLE shop."SequelizeMeta" (name text PRIMARY KEY);
    """)
    result = run_here("import", "database", "--database", database)
    assert result.code == 0, result.err
    assert "public.django_migrations, the ledger of Django, was left out" in result.err
    text = (tmp_path / "sql/migrations/0001_initial_schema.sql").read_text()
    assert 'shop."SequelizeMeta", the ledger of Sequelize, was left out' in result.err
    assert [word for word in ("pg_dump", "Owner", "django", "Sequelize") if word in text] == []
    adopted = adopt()
    assert (adopted.code, "recorded 0001_initial_schema, which the database has" in adopted.out) == (0, True)
    empty = new_database()
    assert run_here("apply", "--database", empty).code == 0
    with psycopg.connect(empty) as other:
        assert other.execute("SELECT count(*) FROM shop.shirts").fetchone() == (1,)
