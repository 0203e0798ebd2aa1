"""What migrations change for all databases of a server, in ways that their text does not show, is undone."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import staging
from own_server import own_server
from pgyoyo.console import Console
from pgyoyo.engine.connection import end
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Folders
from pgyoyo.prove import prover
from pgyoyo.review.review import Chain, review
from pgyoyo.scratch import databases, rights, shared
from pgyoyo.scratch.shared import restored

# Neither CREATE ROLE nor the whole name stands in the text.
EXECUTE = "DO $do$ BEGIN EXECUTE %s; END $do$;"
STATE = """
SELECT 'role', to_jsonb(r) - 'oid' || jsonb_build_object('rolvaliduntil', coalesce(rolvaliduntil, 'infinity'))
  FROM pg_authid AS r WHERE starts_with(rolname, %(prefix)s)
UNION ALL SELECT 'setting', jsonb_build_array(r.rolname, c.setting) FROM pg_db_role_setting AS s
  CROSS JOIN unnest(s.setconfig) AS c (setting) JOIN pg_roles AS r ON r.oid = s.setrole WHERE starts_with(rolname, %(prefix)s)
UNION ALL SELECT 'membership', jsonb_build_array(m.roleid::regrole, m.member::regrole, m.admin_option)
  FROM pg_auth_members AS m WHERE starts_with(m.member::regrole::text, %(prefix)s)
UNION ALL SELECT 'comment', jsonb_build_array(objoid::regrole, description) FROM pg_shdescription
  WHERE classoid = 'pg_authid'::regclass AND starts_with(objoid::regrole::text, %(prefix)s)
UNION ALL SELECT 'options', to_jsonb(m) - '{oid,roleid,member}'::text[] FROM pg_auth_members AS m
  WHERE starts_with(m.member::regrole::text, %(prefix)s)
UNION ALL SELECT 'database', jsonb_build_array(datdba::regrole, datconnlimit, (
    SELECT array_agg(a::text ORDER BY a::text) FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) AS a
    WHERE a.grantee <> datdba))
  FROM pg_database WHERE starts_with(datname, %(prefix)s)
ORDER BY 1, 2
"""


@pytest.fixture
def prefix(admin: psycopg.Connection) -> Iterator[str]:
    """Of the roles of this test: PREFIXold is there, with a password, a setting, a comment and a membership."""
    prefix = f"shared_{uuid.uuid4().hex[:12]}_"
    for statement in (
        "CREATE ROLE {} LOGIN PASSWORD 'secret' CONNECTION LIMIT 3", "ALTER ROLE {} SET search_path = a, \"B c\"",
        "ALTER ROLE {} SET enable_sort = off",
        "COMMENT ON ROLE {} IS 'here before'", "GRANT pg_read_all_data TO {} WITH ADMIN OPTION",
    ):  # fmt: skip
        admin.execute(sql.SQL(statement).format(sql.Identifier(prefix + "old")))
    databases.create(admin, prefix + "db")
    yield prefix
    databases.drop(admin, prefix + "db")
    for (name,) in admin.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [prefix]).fetchall():
        admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


@pytest.fixture
def state(admin: psycopg.Connection, prefix: str) -> Callable[[], list[tuple]]:
    """What the server has of those roles."""
    return lambda: admin.execute(STATE, {"prefix": prefix}).fetchall()


def executed(prefix: str, text: str) -> str:
    """A statement, put together from pieces when it runs: {} is the prefix, ~ a place where the text is cut."""
    text = text.replace("{}", f"{prefix[:9]}~{prefix[9:]}")
    return EXECUTE % " || ".join(f"$t${piece}$t$" for piece in text.split("~"))


STATEMENTS = {
    "role": "CREATE RO~LE {}new LOGIN",
    "attributes": "ALTER RO~LE {}old NOLOGIN SUPERUSER CONNECTION LIMIT 7",
    "password": "ALTER RO~LE {}old PASSWORD 'another'",
    "end": "ALTER RO~LE {}old VALID UNTIL '2030-01-01'",
    "setting": "ALTER RO~LE {}old SET work_mem = '7MB'",
    "setting that goes": "ALTER RO~LE {}old RESET enable_sort",
    "setting that was there": "ALTER RO~LE {}old SET search_path = c",
    "membership": "GR~ANT pg_monitor TO {}old",
    "comment": "COMMENT ON RO~LE {}old IS 'changed'",
    "privilege on a database": "GR~ANT CONNECT ON DATA~BASE {}db TO {}old WITH GRANT OPTION",
    "privilege that goes": "REV~OKE CONNECT ON DATA~BASE {}db FROM PUBLIC",
    "limit of a database": "ALTER DATA~BASE {}db CONNECTION LIMIT 5",
    "owner of a database": "ALTER DATA~BASE {}db OWNER TO {}old",
}


@pytest.fixture(params=["prove", "review"])
def rehearsed(request: pytest.FixtureRequest, admin: psycopg.Connection, tmp_path: Path) -> Callable[..., Folders]:
    """Proves or reviews migrations as on the embedded server, where other databases matter."""

    def rehearsed(up: str, down: str = "SELECT 1;", console: Console | None = None) -> Folders:
        staging.write(tmp_path / "sql", {"0001_a": (up, down)})
        folders = reader.read([str(tmp_path / "sql")])
        if request.param == "prove":
            list(prover.prove(admin, folders, console or Console(quiet=True), alone=False))
        else:
            review(admin, Chain(folders.migrations, [0]), console or Console(quiet=True), alone=False)
        return folders

    return rehearsed


def test_what_a_function_executes_is_undone(rehearsed, prefix: str, state) -> None:
    before = state()
    statements = "\n".join(executed(prefix, text) for text in STATEMENTS.values())
    rehearsed(f"CREATE TABLE t (i integer);\n{statements}", "DROP TABLE t;")
    assert state() == before


def test_option_of_a_membership_is_undone(rehearsed, admin, prefix: str, state) -> None:
    if admin.info.server_version < 160000:
        pytest.skip("a membership has options since PostgreSQL 16")
    before = state()
    grants = ("GR~ANT pg_read_all_data TO {}old WITH INHERIT FALSE", "GR~ANT pg_monitor TO {}old WITH SET FALSE")
    rehearsed("\n".join(executed(prefix, grant) for grant in grants))
    assert state() == before


def test_each_of_these_statements_changes_it(admin: psycopg.Connection, prefix: str, state) -> None:
    before = state()
    for what, text in STATEMENTS.items():
        admin.execute(executed(prefix, text))
        after = state()
        assert after != before or what == "password", what
        before = after


def test_role_with_privileges_on_what_is_shared_goes_too(rehearsed, admin, prefix: str, state) -> None:
    before = state()
    grant = executed(prefix, f"GRANT CONNECT ON DATA~BASE {admin.info.dbname} TO {{}}new")
    rehearsed(f"{executed(prefix, STATEMENTS['role'])}\n{grant}")
    assert state() == before


def test_change_that_somebody_else_makes_meanwhile_stays(rehearsed, admin, server_conninfo: str, prefix: str) -> None:
    class Meanwhile(Console):
        def step(self, what: str) -> None:
            with psycopg.connect(server_conninfo, autocommit=True) as conn:
                conn.execute(f"DROP ROLE IF EXISTS {prefix}another; CREATE ROLE {prefix}another".encode())

    console = Meanwhile(quiet=True)
    query = "SELECT FROM pg_roles WHERE rolname = %s"
    with restored(admin, (), console):
        console.step("")
        rehearsed("CREATE TABLE t ();", "DROP TABLE t;", console)
    assert admin.execute(query, [f"{prefix}another"]).rowcount == 1


def test_what_cannot_be_undone_is_named(admin, database: str, prefix: str, capsys: pytest.CaptureFixture) -> None:
    role = f"{prefix}new"
    with ExitStack() as stack:
        conn = stack.enter_context(psycopg.connect(database, autocommit=True))
        with restored(admin, (), Console(quiet=True)), conn.transaction():
            conn.execute(f"CREATE ROLE {role}; CREATE TABLE t (); ALTER TABLE t OWNER TO {role}".encode())
            shared.note_transaction(conn)
        said = capsys.readouterr().err
        conn.execute("DROP TABLE t")
    assert said.startswith("warning: the migrations changed what all databases of the server share, and it stays: role")
    assert f'role {role} (role "{role}" cannot be dropped because some objects depend on it)' in said


def test_role_that_is_gone_comes_back_with_what_it_had(admin, tmp_path: Path, prefix: str, state) -> None:
    before = state()
    staging.write(tmp_path / "sql", {"0001_a": (f"DROP ROLE {prefix}old;", None)})
    folders = reader.read([str(tmp_path / "sql")])
    with restored(admin, folders.migrations, Console(quiet=True)):
        admin.execute(f"DROP OWNED BY {prefix}old; DROP ROLE {prefix}old".encode())
    assert state() == before


@pytest.mark.parametrize("before", ["", "WITH GRANT OPTION"])
def test_privilege_on_a_parameter_is_undone(admin, database: str, prefix: str, before: str) -> None:
    if admin.info.server_version < 150000:
        pytest.skip("privileges on parameters came with PostgreSQL 15")
    query = "SELECT (aclexplode(paracl)).* FROM pg_parameter_acl WHERE parname = 'log_statement'"
    if before:
        admin.execute(f"GRANT SET ON PARAMETER log_statement TO {prefix}old {before}".encode())
    acl = admin.execute(query).fetchall()
    with (
        psycopg.connect(database, autocommit=True) as conn,
        restored(admin, (), Console(quiet=True)),
        conn.transaction(),
    ):
        conn.execute(f"GRANT ALTER SYSTEM ON PARAMETER log_statement TO {prefix}old".encode())
        shared.note_transaction(conn)
    assert admin.execute(query).fetchall() == acl


def test_change_in_a_subtransaction_is_named_though_nothing_tells_whose_it_is(
    rehearsed, admin, prefix: str, capsys: pytest.CaptureFixture
) -> None:
    inner = executed(prefix, STATEMENTS["role"]).removeprefix("DO $do$ BEGIN ").removesuffix(" END $do$;")
    nested = f"DO $do$ BEGIN BEGIN {inner} EXCEPTION WHEN division_by_zero THEN NULL; END; END $do$;"
    rehearsed(nested, console=Console())
    said = capsys.readouterr().err
    still_there = admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [f"{prefix}new"]).rowcount
    assert still_there == 1
    # Of others, who work on the same server, more may be named.
    assert "changed on the server meanwhile, by the migrations or by somebody else: " in said
    assert f"role {prefix}new" in said


def test_embedded_server_with_what_can_t_be_undone_is_made_anew_if_it_holds_nothing_else(
    capsys: pytest.CaptureFixture,
) -> None:
    with own_server({"fsync": "off"}, memory=True) as server:
        conninfo = server.conninfo("postgres")

        def rehearse(cost: int) -> str:
            with (
                databases.server(rights.on_own_server(conninfo)) as admin,
                restored(admin, (), Console(quiet=True)),
                admin.transaction(),
            ):
                admin.execute(f"ALTER TABLESPACE pg_default SET (seq_page_cost = {cost})".encode())
                shared.note_transaction(admin)
            return capsys.readouterr().err

        def alone(statement: str) -> None:
            conn = psycopg.connect(conninfo, autocommit=True)
            conn.execute(statement.encode())
            end(conn)

        # Somebody's database, role, or table in the database postgres; somebody who is connected.
        keeps = (
            "CREATE DATABASE app",
            "CREATE ROLE somebody",
            "CREATE TABLE kept ()",
            "ALTER ROLE ALL SET work_mem = 64",
        )
        undo = ("DROP DATABASE app", "DROP ROLE somebody", "DROP TABLE kept", "ALTER ROLE ALL RESET work_mem")
        for cost, (keep, drop) in enumerate(zip(keeps, undo, strict=True), start=1):
            alone(keep)
            warning = rehearse(cost)
            assert ("it stays: tablespace pg_default" in warning, "created again" in warning) == (True, False), keep
            alone(drop)
        with psycopg.connect(conninfo) as conn:
            assert "created again" not in rehearse(8)
            end(conn)
        assert "; so the data of this server, which held nothing else, is removed and created again" in rehearse(9)
        assert not server.data.exists()
        assert not server.is_running()
