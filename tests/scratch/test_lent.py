"""Roles that a target has and files only name: the embedded server is lent them while the files run there."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgyoyo.console import Console
from pgyoyo.engine.observer import SILENT
from pgyoyo.migrations import plan, reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove import prover
from pgyoyo.scratch import databases, lent, rights, shared, states
from pgyoyo.scratch.defaults import Defaults

PLAIN, ODD = f"reader_{os.getpid()}", f"Odd, {os.getpid()}"
# What names roles, and whether it names PLAIN, and ODD.
NAMED = (
    (f"GRANT SELECT ON t TO {PLAIN};", True, False),
    (f'GRANT ALL ON SCHEMA public TO public, {PLAIN.upper()}, "{ODD}" WITH GRANT OPTION;', True, True),
    (f'ALTER TABLE t OWNER TO "{ODD}";', False, True),
    (f"CREATE POLICY p ON t TO {PLAIN} USING (true);", True, False),
    (f'ALTER DEFAULT PRIVILEGES FOR ROLE "{ODD}" GRANT SELECT ON TABLES TO {PLAIN};', True, True),
    (f"REVOKE ALL ON t FROM GROUP {PLAIN};", True, False),
    (f"CREATE SCHEMA AUTHORIZATION {PLAIN};", True, False),
    (f"COMMENT ON TABLE t IS 'grant {PLAIN}';", False, False),
    (f"CREATE ROLE {PLAIN}; GRANT SELECT ON t TO {PLAIN};", False, False),
    (f'CREATE USER {PLAIN} LOGIN; GRANT SELECT ON t TO "{ODD}";', False, True),
    (f'GRANT {PLAIN} TO "{ODD}";', True, True),
    (f"ALTER DEFAULT PRIVILEGES FOR USER {PLAIN} REVOKE ALL ON TABLES FROM PUBLIC;", True, False),
    (f"SET ROLE TO {PLAIN};", True, False),
    (f'CREATE ROLE first; ALTER ROLE first RENAME TO {PLAIN}; GRANT {PLAIN} TO "{ODD}";', False, True),
    # Which roles it makes doesn't stand there.
    (f"DO $$ BEGIN EXECUTE format('CREATE ROLE %I', 'x'); END $$; GRANT SELECT ON t TO {PLAIN};", False, False),
)


@pytest.fixture
def admin(server_conninfo: str) -> Iterator[psycopg.Connection]:
    with databases.server(rights.on_own_server(server_conninfo)) as admin:
        yield admin


def written(folder: Path, texts: list[tuple[str, str]]) -> list[Migration]:
    for number, (apply, rollback) in enumerate(texts):
        (folder / f"{number:04}_m.sql").write_text(apply)
        (folder / f"{number:04}_m.rollback.sql").write_text(rollback)
    return plan.order(reader.read([str(folder)]).migrations)


def there(conn: psycopg.Connection) -> set[str]:
    rows = conn.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [[PLAIN, ODD]]).fetchall()
    return {name for (name,) in rows}


def test_roles_that_files_name_and_none_makes_are_known(conn: psycopg.Connection, tmp_path: Path) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute(f'CREATE ROLE {PLAIN}; CREATE ROLE "{ODD}"'.encode())
        for text, plain, odd in NAMED:
            roles = lent.needed(conn, written(tmp_path, [(text, "SELECT 1;")]))
            assert set(roles) == {name for name, named in ((PLAIN, plain), (ODD, odd)) if named}, text
    assert lent.needed(conn, written(tmp_path, [(NAMED[0][0], "SELECT 1;")])) == ()


def test_files_that_need_a_role_run_and_it_is_gone_afterwards(admin: psycopg.Connection, tmp_path: Path) -> None:
    many = [(f"CREATE TABLE t{n} ();", f"DROP TABLE t{n};") for n in range(states.WORTH_A_STATE)]
    name = PLAIN.upper()  # as the server has it, it stands in no file
    grant = f'GRANT SELECT ON t1 TO {name}; ALTER TABLE t2 OWNER TO "{ODD}"; GRANT ALL ON t3 TO {name};'
    back = f"REVOKE SELECT ON t1 FROM {name}; ALTER TABLE t2 OWNER TO CURRENT_USER; REVOKE ALL ON t3 FROM {name};"
    order, console = written(tmp_path, [*many, (grant, back)]), Console(quiet=True)
    last, defaults = len(order) - 1, Defaults(roles=(PLAIN, ODD))
    with shared.restored(admin, order, console), states.database_after(admin, order, SILENT, defaults=defaults):
        assert there(admin) == {PLAIN, ODD}
    assert there(admin) == set()
    with shared.restored(admin, order, console):
        [proof] = prover.proofs(admin, order, [last], console, defaults=defaults)
    assert (proof.failures, there(admin)) == ([], set()), proof


def test_server_that_was_named_is_lent_nothing(server_conninfo: str) -> None:
    with databases.server(server_conninfo) as admin, lent.loan(admin, (PLAIN,)) as roles:
        assert roles == frozenset()
        assert there(admin) == set()


def test_role_that_a_killed_run_leaves_goes_with_the_next_run(
    admin: psycopg.Connection, server_conninfo: str, tmp_path: Path
) -> None:
    own = rights.on_own_server(server_conninfo)
    admin.execute(f'CREATE ROLE "{ODD}"'.encode())  # somebody's own
    try:
        with psycopg.connect(own, autocommit=True) as killed, databases.database(admin) as conninfo:
            loan = lent.loan(killed, (PLAIN, ODD))
            assert loan.__enter__() == {PLAIN}
            with psycopg.connect(conninfo, user="postgres") as conn:
                conn.execute(f"CREATE TABLE t (); GRANT SELECT ON t TO {PLAIN}".encode())
            with databases.server(own):
                assert there(admin) == {PLAIN, ODD}  # it is needed still
            killed.close()
            with databases.server(own):
                assert there(admin) == {PLAIN, ODD}  # the database of that run has it still
            with lent.loan(admin, (PLAIN,)) as roles, shared.restored(admin, (), Console(quiet=True)):
                assert roles == {PLAIN}
        with databases.server(own):
            assert there(admin) == {ODD}
    finally:
        admin.execute(f'DROP ROLE IF EXISTS {PLAIN}, "{ODD}"'.encode())


def test_runs_that_lend_one_role_at_once_have_it_as_long_as_they_need_it(
    admin: psycopg.Connection, server_conninfo: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    order = written(tmp_path, [(f"CREATE TABLE t (); GRANT SELECT ON t TO {PLAIN};", "DROP TABLE t;")])
    console, defaults = Console(), Defaults(roles=(PLAIN,))
    with databases.server(rights.on_own_server(server_conninfo)) as second:
        with shared.restored(admin, order, console), states.database_after(admin, order, SILENT, defaults=defaults):
            with shared.restored(second, order, console):
                [proof] = prover.proofs(second, order, [0], console, defaults=defaults)
            assert (proof.failures, there(admin)) == ([], {PLAIN}), proof
            with shared.restored(second, order, console), lent.loan(second, (PLAIN,)), lent.loan(second, (PLAIN,)):
                pass
            assert there(admin) == {PLAIN}
        assert there(admin) == set()
        with lent.loan(second, (PLAIN,)):
            with lent.loan(second, (PLAIN,)):
                pass
            assert there(admin) == {PLAIN}
    assert capsys.readouterr().err == ""
