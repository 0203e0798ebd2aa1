"""Names, messages and rows of others through the command line: nothing is obeyed, hidden, or taken for a line of ours."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

ESCAPES = "\x1b[2J\u202e\u200b\x9b[/b]"
LINES = f"{ESCAPES}\nFORGED\n::stop-commands::x\n##[error]y"
# But for commands to annotate a line, which --format github is for.
OBEYED = re.compile(r"^\s*::(?!(?:error|warning|notice) file=)|##\[|^FORGED", re.MULTILINE)
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]")


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def shown(run_here: Callable, tmp_path: Path, database: str) -> Callable[..., str]:
    """What a command shows on a runner of GitHub's, which has nothing in it that is obeyed."""

    def shown(*args: str, env: Mapping[str, str] | None = None, code: int = 0) -> str:
        result = run_here(*args, env={"DATABASE_URL": database, "GITHUB_ACTIONS": "true", **(env or {})}, cwd=tmp_path)
        text = result.out + result.err
        assert result.code == code, text
        for pattern in (UNSAFE, *[OBEYED] * ("json" not in args)):
            assert pattern.search(text) is None, (args, pattern.search(text), text)
        return text

    return shown


def test_no_text_of_others_is_obeyed_or_taken_for_ours(
    shown: Callable[..., str], tmp_path: Path, conn: Connection, database: str
) -> None:
    folder = tmp_path / "m\x1b[2J\u202e\n::error::x"
    folder.mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\nmigrations = ['m*']\n")
    table = name(f"t{LINES}"[:63])

    def write(migration_id: str, text: str, back: str = f"-- irreversible: {ESCAPES}\n") -> None:
        (folder / f"{migration_id}.sql").write_text(text)
        (folder / f"{migration_id}.rollback.sql").write_text(back)

    write(
        "0001_a",
        f"-- {ESCAPES}\nCREATE TABLE {table} ({name(f'c{LINES}')} text DEFAULT '{LINES}');",
        f"DROP TABLE {table};",
    )
    write(
        "0002_b",
        f"DO $$BEGIN RAISE NOTICE USING MESSAGE = '{LINES}', HINT = '{LINES}'; END$$; SELECT '{LINES}' AS {name(LINES)};",
    )
    for command in (("check",), ("doctor",), ("status",), ("apply", "--verbose"), ("rollback", "--count", "1")):
        shown(*command, code=int(command[0] == "rollback"))
    conn.execute(b"UPDATE _yoyo_log SET username = %s", [LINES])
    conn.execute(b"INSERT INTO _yoyo_migration VALUES (repeat('0', 64), %s, now())", [f"0009_{LINES}"])
    # --- What fails, and what differs. ---
    for text in (
        f"DO $$BEGIN RAISE USING MESSAGE = '{LINES}', DETAIL = '{LINES}', HINT = '{LINES}', SCHEMA = '{LINES}'; END$$;",
        f"SELECT {name(f'no{LINES}')} FROM {table};",
        f"INSERT INTO {table} VALUES (1 / 0);",
    ):
        write("0003_c", text)
        shown("apply", code=1)
    write(
        "0003_c",
        f"-- depends: {ESCAPES}\n-- {ESCAPES}: x\n-- transactionall{ESCAPES}: x\n-- phase: {ESCAPES}\nSELECT 1;",
    )
    for command in ("apply", "check"):
        shown(command, code=1)
    for path in folder.glob("0003*"):
        path.unlink()
    for command in (
        ("status",),
        ("status", "--format", "json"),
        ("doctor", "--format", "json"),
        ("rollback", "--all", "--yes"),
    ):
        shown(*command, code=int(command[0] == "rollback"))
    shown("unmark", "0009")
    conn.execute(f"ALTER TABLE {table} ADD {name(LINES)} int; COMMENT ON TABLE {table} IS '{LINES}'".encode())
    assert r"\nFORGED" in shown("verify", "--scratch", database, code=4)
    (folder / "0002_b.sql").write_text(f"-- {ESCAPES}\nSELECT '{ESCAPES}';")
    shown("status", code=4)
    # --- What was typed, and what settings name. ---
    for command in ((ESCAPES,), ("apply", ESCAPES), ("apply", "--to", ESCAPES), ("apply", "--wait", ESCAPES),
                    ("new", ESCAPES), ("sizes", "--output", f"{ESCAPES}/x"), ("fleet", "status", ESCAPES)):  # fmt: skip
        shown(*command, code=2)
    for url in (f"{ESCAPES}://h", f"postgresql://h/d?{ESCAPES}=1", f"host=h {ESCAPES}=1"):
        shown("status", env={"DATABASE_URL": url}, code=2)
    shown("status", env={"DATABASE_URL": make_conninfo(database, dbname=f"d{LINES}")}, code=1)
