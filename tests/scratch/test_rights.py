"""On the embedded server files run without a superuser's rights, unless they need them."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event

import psycopg
import pytest

import staging
from pgyoyo.console import Console
from pgyoyo.engine.observer import SILENT
from pgyoyo.errors import StatementError, UsageError
from pgyoyo.migrations import plan, reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove import parallel, prover
from pgyoyo.prove.proof import APPLY_FAILS, FAILS, REAPPLY_FAILS
from pgyoyo.review import review
from pgyoyo.scratch import databases, rights, turns
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.history import History

WHO = "SELECT session_user::text, rolsuper FROM pg_roles WHERE rolname = session_user"
FILES = {
    "0001_t": "CREATE TABLE t AS {who};",
    # A file that tries it, and does without; one that goes back to the role that logged in.
    "0002_try": "DO $$ BEGIN EXECUTE 'CREATE ROLE pgyoyo_stray'; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;",
    "0003_reset": "RESET SESSION AUTHORIZATION; RESET ROLE; INSERT INTO t {who};",
    "0004_disk": "INSERT INTO t {who}; SELECT pg_read_file('PG_VERSION');",
    "0005_outside": "-- transactional: false\nINSERT INTO t {who};\nVACUUM t;",
}
LESS, MORE = (rights.ROLE, False), ("postgres", True)


@pytest.fixture
def order(tmp_path: Path) -> list[Migration]:
    for name, text in FILES.items():
        (tmp_path / f"{name}.sql").write_text(text.format(who=WHO))
        (tmp_path / f"{name}.rollback.sql").write_text("DROP TABLE t;" if name == "0001_t" else "SELECT 1;")
    return plan.order(reader.read([str(tmp_path)]).migrations)


@pytest.fixture
def admin(server_conninfo: str) -> Iterator[psycopg.Connection]:
    with databases.server(rights.on_own_server(server_conninfo)) as admin:
        yield admin


def test_files_run_with_few_rights_until_one_needs_more(admin: psycopg.Connection, order: list[Migration]) -> None:
    with ExitStack() as stack:
        history = History(admin, order, SILENT, stack)
        for upto, expected in ((3, [LESS, LESS]), (4, [LESS, LESS, MORE]), (5, [LESS, LESS, MORE, MORE])):
            with history.fresh(upto) as copy:
                assert copy.conn.execute("TABLE t").fetchall() == expected
                assert copy.conn.execute(WHO).fetchone() == (LESS if upto == 3 else MORE)
        assert history.broken == {}
    assert admin.execute("SELECT FROM pg_roles WHERE rolname = 'pgyoyo_stray'").fetchone() is None


def test_review_and_prove_give_a_file_the_rights_that_it_needs(
    admin: psycopg.Connection, order: list[Migration]
) -> None:
    result = review.review(admin, review.Chain(order, range(len(order))), Console(quiet=True))
    errors = {sheet.id: [statement.error for statement in sheet.statements] for sheet in result.sheets}
    assert {name: list(filter(None, words)) for name, words in errors.items()} == {name: [] for name in FILES}
    for proof in prover.proofs(admin, order, range(len(order)), Console(quiet=True)):
        assert not {APPLY_FAILS, FAILS, REAPPLY_FAILS} & set(proof.findings), proof


def test_right_that_nobody_has_is_an_error(admin: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT pg_read_file('no such file');")
    (tmp_path / "0001_a.rollback.sql").write_text("SELECT 1;")
    [migration] = reader.read([str(tmp_path)]).migrations
    with (
        databases.database(admin) as conninfo,
        closing(ScratchDatabase(conninfo, SILENT)) as scratch,
        pytest.raises(StatementError, match="No such file"),
    ):
        scratch.run(migration, "apply")


def test_another_server_s_account_is_used_as_it_is(server_conninfo: str, order: list[Migration]) -> None:
    with (
        databases.server(server_conninfo) as admin,
        databases.database(admin) as conninfo,
        closing(ScratchDatabase(conninfo, SILENT)) as scratch,
    ):
        scratch.rebuild(order[:1])
        assert scratch.conn.execute("TABLE t").fetchall() == [(admin.info.user, True)]


def test_files_that_make_roles_run_on_the_own_server_and_nothing_of_them_stays(
    admin: psycopg.Connection, tmp_path: Path
) -> None:
    role = f"own_{uuid.uuid4().hex[:8]}"
    staging.write(
        tmp_path,
        {
            "0001_t": ("CREATE TABLE t (id int);", "DROP TABLE t;"),
            "0002_role": (
                f"CREATE ROLE {role}; GRANT SELECT ON t TO {role}; ALTER ROLE {role} SET work_mem = '1MB';",
                f"DROP OWNED BY {role}; DROP ROLE {role};",
            ),
            "0003_policy": (f"CREATE POLICY p ON t TO {role};", "DROP POLICY p ON t;"),
        },
    )
    folders, console = reader.read([str(tmp_path)]), Console(quiet=True)
    result = review.review(admin, review.Chain(folders.migrations, range(3)), console, alone=False)
    assert [statement.state for sheet in result.sheets for statement in sheet.statements] == ["ran"] * 5
    assert not [finding for finding in result.findings if finding.rule == "statement-fails"]
    assert [proof.findings for proof in parallel.prove(admin, folders, console, alone=False)] == [{}, {}, {}]
    assert admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None
    (tmp_path / "0004_beyond.sql").write_text("-- transactional: false\nALTER SYSTEM SET work_mem = '1MB';")
    with pytest.raises(UsageError, match=r"0004_beyond.sql:2: ALTER SYSTEM\nThat changes") as refused:
        review.review(admin, review.Chain(reader.read([str(tmp_path)]).migrations, [3]), console, alone=False)
    assert "0002" not in str(refused.value)


def test_runs_that_make_roles_take_turns(admin: psycopg.Connection, tmp_path: Path, server_conninfo: str) -> None:
    staging.write(tmp_path, {"0001_role": ("CREATE ROLE never_made;", None)})
    order = reader.read([str(tmp_path)]).migrations
    notes, waits = [], Event()

    class Notes(Console):
        def note(self, text: str) -> None:
            notes.append(text)
            waits.set()

    def second() -> list[str]:
        with databases.server(rights.on_own_server(server_conninfo)) as another:
            # Nothing is waited for on another server, nor where no role is made.
            with turns.taken(another, (), Notes()):
                pass
            with turns.taken(another, order, Notes()):
                return [*notes, "it is its turn"]

    with ThreadPoolExecutor(1) as pool:
        with turns.taken(admin, order, Console(quiet=True)):
            run = pool.submit(second)
            assert waits.wait(60)
            assert not run.done()
        assert [line.partition(":")[0] for line in run.result(60)] == [
            "waiting for another run on the scratch server",
            "it is its turn",
        ]


def test_rights_that_a_file_gave_the_account_are_taken_back(admin: psycopg.Connection, server_conninfo: str) -> None:
    admin.execute(f"ALTER ROLE {rights.ROLE} SUPERUSER CREATEDB".encode())
    with databases.server(rights.on_own_server(server_conninfo)) as again:
        query = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = %s"
        assert again.execute(query, [rights.ROLE]).fetchone() == (False,)
