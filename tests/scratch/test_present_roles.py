"""What runs in the place of statements that make, rename or drop roles, where the server has them."""

import uuid
from pathlib import Path

import psycopg
import pytest

import staging
from pgyoyo.catalog import snapshot
from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.prove import prover
from pgyoyo.review.review import Chain, review
from pgyoyo.scratch import present_roles

# A role that others made; one that templates have, with LOGIN; their attributes are in the order of roles._ATTRIBUTES.
THERE = {"theirs": None, "ours": (True, False, True, False, False, False, False), "Odd name": None}


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("CREATE ROLE new; SELECT 1;", "CREATE ROLE new; SELECT 1;"),
        ("CREATE ROLE theirs SUPERUSER\n  PASSWORD 'x';\nSELECT 1;", "\n;\nSELECT 1;"),
        ('CREATE USER "Odd name"; CREATE ROLE odd;', "; CREATE ROLE odd;"),
        ("CREATE USER ours;", ";"),
        ("CREATE GROUP Ours CREATEDB;", 'ALTER ROLE "ours" NOLOGIN CREATEDB;'),
        ("CREATE ROLE ours LOGIN NOINHERIT PASSWORD 'it''s' IN ROLE a, b;",
         """ALTER ROLE "ours" NOINHERIT PASSWORD 'it''s'; GRANT "a", "b" TO "ours";"""),
        ("CREATE ROLE ours LOGIN PASSWORD NULL ROLE a ADMIN b;",
         'ALTER ROLE "ours" PASSWORD NULL; GRANT "ours" TO "a"; GRANT "ours" TO "b" WITH ADMIN OPTION;'),
        ("DROP ROLE IF EXISTS theirs, new; DROP USER ours;", 'DROP ROLE IF EXISTS "new"; ;'),
        ("DROP OWNED BY ours; ALTER ROLE ours LOGIN;", "DROP OWNED BY ours; ALTER ROLE ours LOGIN;"),
        ("DO $$ BEGIN CREATE ROLE theirs PASSWORD ';'; CREATE ROLE new; EXECUTE 'DROP ROLE OURS'; END $$;",
         "DO $$ BEGIN NULL; CREATE ROLE new; NULL; END $$;"),
        ("DO $$ BEGIN IF true THEN\nCREATE\nROLE theirs; END IF; END $$;",
         "DO $$ BEGIN IF true THEN\nNULL\n; END IF; END $$;"),
        ("SELECT 'CREATE ROLE ours;'; -- CREATE ROLE ours;", "SELECT 'CREATE ROLE ours;'; -- CREATE ROLE ours;"),
        ("CREATE USER MAPPING FOR ours SERVER s;", "CREATE USER MAPPING FOR ours SERVER s;"),
        ("ALTER ROLE a RENAME TO b;", "ALTER ROLE a RENAME TO b;"),
        ("ALTER SUBSCRIPTION s ENABLE;\nALTER SUBSCRIPTION s RENAME TO t; COMMENT ON TABLE subscription IS 'x';",
         "SELECT;\nSELECT; COMMENT ON TABLE subscription IS 'x';"),
        ("DO $$ BEGIN EXECUTE format('DROP ROLE %I',\n'x;'); END $$;", "DO $$ BEGIN NULL\n; END $$;"),
        ("DO $$ BEGIN EXECUTE 'CREATE USER ' || x; END $$;",
         "DO $$ BEGIN BEGIN EXECUTE 'CREATE USER ' || x; EXCEPTION WHEN duplicate_object THEN NULL; END; END $$;"),
    ],
)  # fmt: skip
def test_statement_about_a_role_that_is_there(text: str, runs: str, tmp_path: Path) -> None:
    staging.write(tmp_path / "sql", {"0001_a": (text, None), "0002_b": ("SELECT 1;", text)})
    folders = reader.read([str(tmp_path / "sql")])
    first, second = present_roles.beside(folders, THERE).migrations
    assert first.apply.data.decode() == runs
    assert second.rollback
    is_again = "CREATE" in text.upper().split()[0]
    assert second.rollback.data.decode() == (text if is_again else runs)
    assert [m.apply.checksum for m in (first, second)] == [m.apply.checksum for m in folders.migrations]


# Of one role, A, all that a database can have of it; {0} is A, {1} its later name, {2} another role.
HAS = """
CREATE ROLE {2}; CREATE ROLE {0} LOGIN CREATEDB PASSWORD 'x' IN ROLE {2};
ALTER ROLE {0} SET work_mem = '7MB';
CREATE SCHEMA s AUTHORIZATION {0}; CREATE TABLE s.t (id int, name text); ALTER TABLE s.t OWNER TO {0};
CREATE TABLE u (id int, name text); GRANT SELECT ON u TO {0} WITH GRANT OPTION; GRANT UPDATE (name) ON u TO {0};
SET ROLE {0}; GRANT SELECT ON u TO {2}; GRANT INSERT ON s.t TO {2}; RESET ROLE;
CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1; GRANT EXECUTE ON FUNCTION f() TO {0};
CREATE TYPE e AS ENUM ('a'); GRANT USAGE ON TYPE e TO {0}; CREATE SEQUENCE q; GRANT USAGE ON SEQUENCE q TO {0};
ALTER TABLE u ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON u TO {0}, {2};
ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA s GRANT SELECT ON TABLES TO {2};
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO {0};
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER v FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN SERVER v TO {0};
CREATE USER MAPPING FOR {0} SERVER v;
"""
OF_ROLE = """
SELECT r.rolcanlogin, r.rolcreatedb, r.rolpassword IS NOT NULL,
  (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0),
  ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid),
  (SELECT count(*) FROM pg_shdepend WHERE refobjid = r.oid
     AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
FROM pg_roles AS p JOIN pg_authid AS r USING (rolname) WHERE rolname = %s
"""


@pytest.mark.parametrize("in_do", [False, True], ids=["statement", "in DO"])
def test_rename_to_a_role_that_another_database_has(new_database, tmp_path: Path, in_do: bool) -> None:
    token = f"renamed_{uuid.uuid4().hex[:8]}"
    a, b, c = (f"{token}_{letter}" for letter in "abc")
    rename = f"ALTER ROLE {a} RENAME TO {b};"
    do = f"DO $$ BEGIN\nIF true THEN\n{rename}\nEND IF; EXECUTE 'SELECT 1'; END $$;"
    staging.write(tmp_path / "sql", {
        "0001_a": (HAS.format(a, b, c), None),
        "0002_b": (do if in_do else rename, f"ALTER ROLE {b} RENAME TO {a};"),
    })  # fmt: skip
    folders = reader.read([str(tmp_path / "sql")])
    with (
        psycopg.connect(new_database(), autocommit=True) as first,
        psycopg.connect(new_database(), autocommit=True) as second,
    ):
        for migration in folders.migrations:
            first.execute(migration.apply.data)
        here = present_roles.folders_left_alone(second, folders, Console(quiet=True))
        make, renamed = here.migrations
        assert renamed.rollback
        second.execute(make.apply.data)
        for text in (renamed.apply.data, renamed.rollback.data, renamed.apply.data):
            second.execute(text)
        assert not snapshot.difference(*(snapshot.snapshot(conn) for conn in (first, second)))
        of_role = [conn.execute(OF_ROLE, [b]).fetchone() for conn in (first, second)]
        assert of_role[0] == of_role[1]
        assert second.execute("SELECT FROM pg_roles WHERE rolname = %s", [a]).rowcount == 0
        for conn in (first, second):
            conn.execute(f"DROP OWNED BY {b}; DROP OWNED BY {c}".encode())
        second.execute(f"DROP ROLE {b}, {c}".encode())


SUBSCRIBES = "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p;"


def test_rehearsal_connects_to_no_publisher(admin: psycopg.Connection, tmp_path: Path, capsys) -> None:
    header = "-- transactional: false\n"
    staging.write(tmp_path / "sql", {
        "0001_s": (f"{header}{SUBSCRIBES}\nCOMMENT ON SUBSCRIPTION s IS 'x';", f"{header}DROP SUBSCRIPTION s;"),
        "0002_t": ("CREATE TABLE t (i int);", "DROP TABLE t;"),
    })  # fmt: skip
    folders = reader.read([str(tmp_path / "sql")])
    assert not any(proof.findings for proof in prover.prove(admin, folders, Console()))
    [sheet] = review(admin, Chain(folders.migrations, [0]), Console(quiet=True)).sheets
    assert [(each.state, each.name.split()[0]) for each in sheet.statements] == [("ran", "CREATE"), ("ran", "COMMENT")]
    assert capsys.readouterr().err.count("about subscriptions are left out") == 1
    assert admin.execute("SELECT FROM pg_subscription WHERE subname = 's'").rowcount == 0


def test_table_of_subscriptions_is_not_about_them(tmp_path: Path, capsys) -> None:
    text = "CREATE ROLE ours; CREATE TABLE subscription (id int); CREATE INDEX ON subscription (id);"
    staging.write(tmp_path / "sql", {"0001_a": (text, None)})
    present_roles.left_alone(reader.read([str(tmp_path / "sql")]).migrations, THERE, Console())
    err = capsys.readouterr().err
    assert "neither made nor dropped there: role ours" in err
    assert "subscriptions" not in err


def test_review_renames_a_role_in_both_copies(admin: psycopg.Connection, tmp_path: Path) -> None:
    a, b = (f"both_{uuid.uuid4().hex[:8]}_{letter}" for letter in "ab")
    staging.write(tmp_path / "sql", {
        "0001_a": (f"CREATE ROLE {a}; CREATE TABLE t (id int); GRANT SELECT ON t TO {a};", None),
        "0002_b": (f"ALTER ROLE {a} RENAME TO {b}; GRANT INSERT ON t TO {b};", None),
    })  # fmt: skip
    admin.execute(f"CREATE ROLE {b}".encode())
    sheets = review(admin, Chain(reader.read([str(tmp_path / "sql")]).migrations, [0, 1]), Console(quiet=True)).sheets
    assert [each.error for sheet in sheets for each in sheet.statements] == [None] * 5
    left = admin.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [[a, b]]).fetchall()
    admin.execute(f"DROP ROLE IF EXISTS {a}, {b}".encode())
    assert left == [(b,)]
