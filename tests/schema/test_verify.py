"""verify: files against ledger, the live catalog against a rebuilt one."""

import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from killing import until
from pgyoyo.scratch import databases
from pgyoyo.server import installs

FILES = {
    "0001_a.sql": "CREATE TABLE a (i integer, t text);\n",
    "0001_a.rollback.sql": "DROP TABLE a;\n",
    "0002_b.sql": "CREATE INDEX a_i_idx ON a (i);\n",
    "0002_b.rollback.sql": "DROP INDEX a_i_idx;\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sql").mkdir()
    for name, text in FILES.items():
        (tmp_path / "sql" / name).write_text(text)
    return tmp_path / "sql"


@pytest.fixture
def verify(run_here, folder: Path, database: str, server_conninfo: str) -> Callable[..., object]:
    done = run_here("apply", "--database", database, "--migrations", folder)
    assert done.code == 0, done.err

    def verify(*options: str):
        return run_here(
            "verify", "--database", database, "--migrations", folder, "--scratch", server_conninfo, *options
        )

    return verify


def scratch_databases(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as conn:
        return [
            n
            for (n,) in conn.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [databases.PREFIX]
            )
        ]


def test_database_that_its_migrations_made_agrees(verify) -> None:
    result = verify()
    assert (result.code, result.out.splitlines()[1:]) == (0, ["files, ledger and catalog agree."])


def test_pending_migration_is_no_difference(verify, folder: Path) -> None:
    (folder / "0003_c.sql").write_text("CREATE TABLE c ();\n")
    assert verify().code == 0


def test_each_difference_is_told_as_an_object_and_a_diff(verify, conn: psycopg.Connection) -> None:
    conn.execute("ALTER TABLE a ALTER i TYPE bigint; CREATE INDEX by_hand ON a (t); DROP INDEX a_i_idx")
    result = verify()
    assert result.code == 4
    assert result.out.splitlines()[1:] == [
        "column public.a.i: integer → bigint",
        "index public.a_i_idx: missing in the database: CREATE INDEX a_i_idx ON public.a USING btree (i)",
        "index public.by_hand: only in the database: CREATE INDEX by_hand ON public.a USING btree (t)",
        "3 differences.",
    ]


def test_ignored_difference_is_told_with_its_reason_and_counts_for_nothing(
    verify, folder: Path, run_here, conn: psycopg.Connection, database: str, server_conninfo: str
) -> None:
    conn.execute("CREATE INDEX by_hand ON a (t)")
    assert verify("--ignore", "index *.by_*").code == 0
    (folder.parent / "pyproject.toml").write_text(
        '[[tool.pgyoyo.ignore]]\npattern = "index public.by_hand"\nreason = "a DBA is trying it"\n'
    )
    result = run_here(
        "verify", "--database", database, "--migrations", folder, "--scratch", server_conninfo, cwd=folder.parent
    )
    assert result.code == 0
    assert "ignored: index public.by_hand (a DBA is trying it)" in result.out


def test_ignore_without_a_reason_is_refused(folder: Path, run_here, database: str) -> None:
    (folder.parent / "pyproject.toml").write_text('[[tool.pgyoyo.ignore]]\npattern = "index *"\n')
    result = run_here("verify", "--database", database, "--migrations", folder, cwd=folder.parent)
    assert result.code == 2
    assert "it must be a list of tables with a pattern and a reason" in result.err


def test_edited_file_is_told_and_the_stored_text_is_what_counts(verify, folder: Path) -> None:
    (folder / "0001_a.sql").write_text("CREATE TABLE a (i bigint, t text);\n")
    result = verify()
    assert result.code == 4
    assert result.out.splitlines()[1:] == [
        "migration 0001_a: its file was changed after it was applied",
        "1 difference.",
    ]


def test_missing_file_is_told_and_rebuilt_from_the_stored_text(verify, folder: Path) -> None:
    for path in folder.glob("0002_*"):
        path.unlink()
    result = verify()
    assert result.code == 4
    assert result.out.splitlines()[1:] == ["migration 0002_b: applied, but its file is missing", "1 difference."]


OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_verify_reads_only_on_the_target(verify, conn: psycopg.Connection) -> None:
    if conn.info.server_version < 150000:
        pytest.skip("what a session counted is known some time later there")
    counts = "SELECT tup_inserted, tup_updated, tup_deleted FROM pg_stat_database WHERE datname = current_database()"
    conn.execute("ALTER DATABASE " + conn.info.dbname + " SET default_transaction_read_only = on")
    # Sessions that have just ended have still to add what they counted.
    until(lambda: conn.execute(OTHERS).fetchone() == (0,))
    before = conn.execute(counts).fetchone()
    assert verify().code == 0
    conn.execute("SELECT pg_stat_force_next_flush()") if conn.info.server_version >= 150000 else None
    after = conn.execute(counts).fetchone()
    assert before == after


def test_verify_does_not_queue_behind_an_alter(verify, database: str) -> None:
    with psycopg.connect(database) as other:
        other.execute("CREATE VIEW v AS SELECT i FROM a")
        other.commit()
        other.execute("LOCK TABLE a, v IN ACCESS EXCLUSIVE MODE")
        result = verify()
    assert result.code == 1
    assert "a table is being altered right now" in result.err


def test_migration_that_the_scratch_server_cannot_apply_is_told(
    verify, folder: Path, run_here, database: str, conn: psycopg.Connection
) -> None:
    role = f"verify_{conn.info.dbname}"
    conn.execute(f"CREATE ROLE {role}")
    (folder / "0003_c.sql").write_text(f"GRANT SELECT ON a TO {role};\n")
    assert run_here("apply", "--database", database, "--migrations", folder).code == 0
    conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    result = verify()
    assert result.code == 1
    assert "0003_c is applied here, but can't be applied on the scratch server" in result.err


def test_sweep_drops_what_a_dead_run_left_and_only_that(server_conninfo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A name of its own, so that no other process sweeps first.
    monkeypatch.setattr(databases, "PREFIX", f"pgyoyo_sweeping_{uuid.uuid4().hex[:6]}_")
    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        dead = databases.PREFIX + uuid.uuid4().hex[:12]
        another = databases.PREFIX + "of_another"
        unfinished = databases.PREFIX + "unfinished"  # by a run that was killed before it wrote the comment
        for name in (dead, another):
            admin.execute(f"CREATE DATABASE {name}")
        admin.execute(f"CREATE DATABASE {unfinished} CONNECTION LIMIT {databases.LIMIT}")
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(dead), databases.MARKER))
        said: list[str] = []
        with databases.server(server_conninfo, said.append) as owner, databases.database(owner) as conninfo:
            alive = conninfo_to_dict(conninfo)["dbname"]
            assert dead not in scratch_databases(server_conninfo)
            assert unfinished not in scratch_databases(server_conninfo)
            assert said == [f"dropped {dead}, {unfinished}, which a run that was killed left behind"]
            databases.sweep(admin)
            assert another in scratch_databases(server_conninfo), "its name alone is no reason to drop it"
            assert alive in scratch_databases(server_conninfo)
        assert alive not in scratch_databases(server_conninfo)
        admin.execute(f"DROP DATABASE {another}")


def test_role_that_may_not_make_databases_gets_the_word(
    run_here, folder: Path, database: str, conn: psycopg.Connection
) -> None:
    role = f"poor_{conn.info.dbname}"
    conn.execute(f"CREATE ROLE {role} LOGIN")
    poor = make_conninfo(database, user=role)
    run_here("apply", "--database", database, "--migrations", folder)
    result = run_here("verify", "--database", database, "--migrations", folder, "--scratch", poor)
    conn.execute(f"DROP ROLE {role}")
    assert result.code == 2
    assert f'the role "{role}" may not create databases on the scratch server' in result.err


def test_without_a_scratch_server_the_option_is_named(
    run_here, folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--database", database, "--migrations", folder)
    run_here("apply", *where)
    monkeypatch.setattr(installs, "WHEELS", {18: (), 16: ()})
    monkeypatch.setattr(installs, "_of_the_system", lambda _: iter(()))
    result = run_here("verify", *where)
    assert result.code == 1
    assert "Or give a server for scratch databases: --scratch URL" in result.err


@pytest.mark.parametrize(
    ("statement", "options", "told"),
    [
        ("ALTER TABLE a OWNER TO pg_monitor", (), "owner table public.a: postgres → pg_monitor"),
        ("ALTER TABLE a OWNER TO {0}", ("--owners",), "owner table public.a: postgres → {0}"),
    ],
    ids=["the scratch server has the role", "asked for"],
)
def test_owner_that_the_migrations_did_not_give_differs(
    statement: str, options: tuple[str, ...], told: str, verify, conn: psycopg.Connection, owner
) -> None:
    conn.execute(statement.format(owner.name))
    result = verify(*options)
    conn.execute("ALTER TABLE a OWNER TO postgres")
    assert (result.code, result.out.splitlines()[1]) == (4, told.format(owner.name))
