"""Python migrations: what yoyo itself runs for a file is what is read from its text, in both directions."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from yoyo.migrations import Migration as YoyoMigration

from pgyoyo.errors import DefectsError
from pgyoyo.migrations import checks, reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.python import texts
from pgyoyo.sql import parser


class Recorder:
    """What yoyo takes for a backend; keeps the statements that it is to run."""

    has_transactional_ddl = True
    DatabaseError = ZeroDivisionError
    description = None

    def __init__(self) -> None:
        self.ran: list[str] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    disable_transactions = transaction

    def cursor(self) -> "Recorder":
        return self

    def execute(self, statement: str) -> None:
        self.ran.append(statement)

    def close(self) -> None:
        pass


def by_yoyo(path: Path, direction: str) -> list[str]:
    """The statements that yoyo runs for a file."""
    recorder = Recorder()
    YoyoMigration(path.stem, str(path), None).process_steps(recorder, direction)
    return [statement for text in recorder.ran for statement in statements(text.encode())]


def statements(data: bytes) -> list[str]:
    script = parser.parse(data)
    return [" ".join(script.text(statement).decode().split()) for statement in script.statements]


def read(folder: Path) -> Migration:
    [migration] = reader.read([str(folder)]).migrations
    return migration


_SECTIONS = re.split(r"(?m)^### (.*)\n", (Path(__file__).parent / "python_files.txt").read_text())[1:]
FILES = dict(zip(_SECTIONS[::2], _SECTIONS[1::2], strict=True))


@pytest.mark.parametrize("name", FILES)
def test_what_yoyo_runs_is_what_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "0001_a.py"
    path.write_text(FILES[name])
    migration = read(tmp_path)
    assert statements(migration.apply.data) == by_yoyo(path, "apply")
    assert (statements(migration.rollback.data) if migration.rollback else []) == by_yoyo(path, "rollback")
    assert not migration.apply.blocked
    theirs = YoyoMigration("0001_a", str(path), None)
    theirs.load()
    assert migration.apply.header.transactional == theirs.use_transactions
    assert migration.rollback is None or migration.rollback.header.transactional == theirs.use_transactions
    # What is written for it says the same to whoever reads that.
    assert reader.from_texts(migration.id, migration.apply.data.decode(), None).apply.header == migration.apply.header


@pytest.mark.parametrize(
    "value",
    ['"0001_a"', '{"0001_a"}', '["0001_a"]', '("0001_a",)', '{"0001_a": 1}', 'set(["0001_a"])', "X", "{X} | set()"],
)
def test_dependencies_are_read_as_yoyo_reads_them(value: str, tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    (tmp_path / "0002_b.py").write_text(f'X = "0001_a"\n__depends__ = {value}\nstep("SELECT 1")')
    assert reader.read([str(tmp_path)]).migrations[1].depends == ("0001_a",)


UNREAD = {
    "function": ("def f(c): pass\nstep('A')\nstep(f)", 3, "the function f"),
    "lambda": ("step(lambda c: None, 'x')", 1, "a lambda"),
    "imported": ("from app.jobs import run\nstep(run)", 2, "run, which is imported"),
    "environment": ("import os\nstep(f'CREATE ROLE {os.environ[\"X\"]}')", 2, "os.environ"),
    "file": ("step(open('x.sql').read())", 1, "open"),
    "call of others": ("from app import sql\nsql.add_steps()", 2, "sql.add_steps()"),
    "condition": ("import os\nif os.environ:\n    step('A')", 2, "condition"),
    "loop": ("import os\nfor x in os.listdir('.'):\n    step(x)", 2, "loop"),
    "with": ("with open('x') as f:\n    step(f.read())", 1, "with"),
    "endless": ("def f(): f()\nf()", 1, "calls itself"),
    "deep": ("step('A'" + " + 'A'" * 500 + ")", 1, "nested too deep"),
    "long": ("for i in range(1000000000): step('A')", 1, "10,000"),
    "big": ("step('A' * 1000000000000)", 1, "size"),
    "ignored errors": ("step('A', 'B', ignore_errors='all')", 1, "ignore_errors"),
    "ignored errors of a group": ("group(step('A'), ignore_errors='apply')", 1, "ignore_errors"),
    "wrong type": ("step(['A'])", 1, "a list"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREAD)
def test_what_only_python_can_tell_is_named_and_not_run_while_pending(name: str, tmp_path: Path) -> None:
    text, line, words = UNREAD[name]
    (tmp_path / "0001_a.py").write_text(text)
    migration = read(tmp_path)
    assert [at for at, _ in migration.apply.blocked] == [line]
    assert words in migration.apply.blocked[0][1]
    with pytest.raises(DefectsError, match=rf"0001_a.py:{line}: .*\n.*pgyoyo mark 0001_a"):
        checks.refuse_python([migration])
    checks.scripts([migration], allow_empty=False)  # it is not called empty


WRONG = {
    "syntax": ("step('A'", 1, "not Python"),
    "arguments": ("step('A', 'B', None, 4)", 1, "4 arguments"),
    "unknown argument": ("step('A', use_savepoints=True)", 1, "use_savepoints"),
    "no argument": ("step()", 1, "nothing to apply"),
    "ignore_errors": ("step('A', ignore_errors='yes')", 1, "'yes'"),
    "grouped twice": ("s = step('A')\ngroup(s)\ngroup(s)", 3, "another group"),
    "open quote": ("step(\"SELECT 'a\")", 1, "no end"),
    "depends on a number": ("__depends__ = {1}\nstep('A')", 1, "__depends__"),
    "NUL": ("step('A\\0B')", 1, "NUL"),
    "surrogate": ("step('\\ud800')", 1, "UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_yoyo_or_postgresql_would_stop_at_is_a_defect(name: str, tmp_path: Path) -> None:
    text, line, words = WRONG[name]
    (tmp_path / "0001_a.py").write_text(text)
    _, [defect] = reader.read_what_can_be([str(tmp_path)])
    assert (defect.line, words in defect.message) == (line, True), defect


TEXT = '''\
#!/usr/bin/env python
"""
Users, and what they wrote.
depends: something else
"""
from yoyo import group, step  # noqa: F401

# Written for the second release.
__depends__ = {"0002_b", "0001_a"}
__transactional__ = False

UP = """
    CREATE TABLE b (i int);
"""


def rows(conn):  # of all users
    conn.execute("SELECT 1")


steps = [
    # The table itself.
    # lock-timeout: none
    step(
        """
        -- depends: nobody
        CREATE TABLE a (
            i int
        )
        """,
        "DROP TABLE a",
    ),
    step(UP, "DROP TABLE b"),  # twice
    step(rows),
]
# The end.
'''
APPLY = """\
-- Users, and what they wrote.
-- (depends: something else)
-- Written for the second release.
-- of all users
--
-- depends: 0002_b 0001_a
-- transactional: false

-- The table itself.
-- (lock-timeout: none)
-- (depends: nobody)
CREATE TABLE a (
    i int
);

-- twice
CREATE TABLE b (i int);

-- A step that only Python can run: the function rows.

-- The end.
"""
ROLLBACK = """\
-- Undo 0003_c.
--
-- transactional: false

DROP TABLE b;

DROP TABLE a;
"""


def test_text_keeps_comments_and_directives_and_knows_its_lines() -> None:
    found, faults = texts.read(TEXT.encode(), "0003_c", "0003_c.py")
    assert not faults
    assert found
    assert found.rollback
    assert (found.apply.data.decode(), found.rollback.data.decode()) == (APPLY, ROLLBACK)
    source = TEXT.splitlines()
    rows = zip(APPLY.splitlines(), found.apply.lines, strict=True)
    exact = [row for row in rows if row[0].startswith(("CREATE", "    i int", "-- The", "-- twice"))]
    assert all(text.removeprefix("-- ").strip(" ;)") in source[line - 1] for text, line in exact)


def test_reading_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "0001_a.py").write_text(
        "import os, sys\nsys.modules['ran'] = os\nprint('ran')\nstep('SELECT 1')\nraise SystemExit"
    )
    assert read(tmp_path).apply.blocked
    assert "ran" not in sys.modules


def test_python_beside_its_own_sql_is_passed_over_and_beside_another_is_a_defect(tmp_path: Path) -> None:
    (tmp_path / "0001_a.py").write_text('step("SELECT 1", "SELECT 2")')
    migration = read(tmp_path)
    assert migration.rollback
    (tmp_path / "0001_a.sql").write_bytes(migration.apply.data)
    (tmp_path / "0001_a.rollback.sql").write_bytes(migration.rollback.data)
    assert read(tmp_path).apply.name.endswith(".sql")
    (tmp_path / "0001_a.sql").write_text("SELECT 3;")
    with pytest.raises(DefectsError, match="same id"):
        read(tmp_path)


def test_row_of_plain_yoyos_for_an_init_file_is_no_migration(
    tmp_path: Path, database: str, conn: psycopg.Connection, run_here
) -> None:
    (tmp_path / "0001_a.py").write_text('step("SELECT 1", "SELECT 1")')
    options = ["--database", database, "--migrations", tmp_path]
    assert run_here("apply", *options).code == 0
    conn.execute("INSERT INTO _yoyo_migration VALUES ('x', '__init__', '2020-01-01')")
    assert "__init__" not in run_here("status", *options).out
    assert run_here("rollback", "--all", "--yes", *options).code == 0
    assert conn.execute("SELECT migration_id FROM _yoyo_migration").fetchall() == [("__init__",)]


def test_init_file_is_no_migration_and_a_rollback_beside_python_is_named(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "0001_a.py").write_text('step("SELECT 1")')
    assert [m.id for m in reader.read([str(tmp_path)]).migrations] == ["0001_a"]
    (tmp_path / "0001_a.rollback.sql").write_text("SELECT 1;")
    with pytest.raises(DefectsError, match=r"the migration is 0001_a\.py"):
        reader.read([str(tmp_path)])
