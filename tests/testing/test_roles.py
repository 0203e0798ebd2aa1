"""What runs in the place of statements that make or drop roles, where the server has them."""

from pathlib import Path

import pytest

import staging
from pgyoyo.migrations import reader
from pgyoyo.testing import roles

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
    ],
)  # fmt: skip
def test_statement_about_a_role_that_is_there(text: str, runs: str, tmp_path: Path) -> None:
    staging.write(tmp_path / "sql", {"0001_a": (text, text)})
    folders = reader.read([str(tmp_path / "sql")])
    (migration,) = roles.beside(folders, THERE).migrations
    assert migration.apply.data.decode() == runs
    assert migration.rollback
    assert migration.rollback.data.decode() == runs
    assert migration.apply.checksum == folders.migrations[0].apply.checksum
