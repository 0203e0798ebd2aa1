"""Commands on the embedded server: none of libpq's variables reaches it, and an extension that it lacks stops them first."""

from pathlib import Path

import pytest
from test_libpq import MEANT_FOR_ANOTHER, SERVERS_OWN

from pgyoyo.engine import connection
from pgyoyo.server import in_memory, libpq
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.settings import LIBPQ

WAY_OUT = "with its package that has it: bin = … in [tool.pgyoyo.server]"


@pytest.fixture
def homes() -> list[Path]:
    """Of the servers that were started if need be, in order."""
    return []


@pytest.fixture
def project(
    homes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_conninfo: str, database: str
) -> Path:
    """A project on the embedded server, whose place that of the tests takes; its migration is applied there."""
    facts = {**connection.conninfo_to_dict(server_conninfo), **libpq.neutral()}
    own = connection.conninfo_to_dict(database)["dbname"]
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path / "none")
    monkeypatch.setattr(EmbeddedServer, "ensure_running", lambda self, say: homes.append(self.home))
    monkeypatch.setattr(EmbeddedServer, "ensure_database", lambda self, dbname: False)
    monkeypatch.setattr(
        EmbeddedServer, "conninfo", lambda self, dbname: connection.make_conninfo("", **{**facts, "dbname": dbname})
    )
    monkeypatch.setattr(EmbeddedServer, "url", lambda self, dbname: dbname)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / "pgyoyo.toml").write_text(f'[tool.pgyoyo]\ndatabase = "embedded"\nserver.dbname = "{own}"\n')
    (folder / "0001_a.sql").write_text("CREATE TABLE a ();\n")
    (folder / "0001_a.rollback.sql").write_text("DROP TABLE a;\n")
    return folder


def test_no_variable_of_libpq_reaches_a_command_and_scratch_has_a_server_of_its_own(
    project: Path, homes: list[Path], tmp_path: Path, run_here
) -> None:
    every = {**MEANT_FOR_ANOTHER, **SERVERS_OWN}
    # A few of them name the target, and are meant to.
    others = {name: value for name, value in every.items() if name not in LIBPQ}
    own, scratch = tmp_path / ".postgres", tmp_path / ".postgres" / "scratch"
    expected = {"review": [own, scratch], "verify": [own, scratch], "prove": [scratch], "schema": [scratch]}
    for command in ("review", "apply", "status", "verify", "prove", "schema", "rollback"):
        homes.clear()
        done = run_here(command, env=every if command in ("prove", "schema") else others)
        assert done.code == 0, (command, done.out, done.err)
        assert homes == expected.get(command, [own]), command
    # What sessions of the project's own database begin with counts, whether its server happens to run or not.
    (own / "18" / "data").mkdir(parents=True)
    homes.clear()
    assert run_here("prove").code == 0
    assert homes == [scratch, own]


def test_missing_extension_stops_each_command_before_anything_runs(project: Path, run_here) -> None:
    assert run_here("apply").code == 0
    second = project / "0002_b.sql"
    second.write_text('CREATE TABLE b ();\nCREATE /* early */ EXTENSION IF NOT EXISTS\n  U&"no\\005fsuch";\n')
    (project / "0002_b.rollback.sql").write_text("DROP TABLE b;\n")
    words = 'sql/migrations/0002_b.sql:2: the embedded PostgreSQL has no extension "no_such"\nNothing was run. '
    for command in ("apply", "review", "prove", "schema"):
        done = run_here(command)
        assert (done.code, words in done.err) == (1, True), (command, done.out, done.err)
        elsewhere = "DATABASE_URL, or --database URL" if command == "apply" else "--scratch URL"
        assert all(way in done.err for way in (WAY_OUT, elsewhere))
    assert run_here("apply", "--dry-run").code == 0
    # What is applied needs none; once it is, the rebuilding does.
    assert run_here("verify").code == 0
    assert run_here("mark", "0002").code == 0
    done = run_here("verify")
    assert (done.code, words in done.err) == (1, True), done.err


def test_extension_of_a_rollback_counts_where_rollbacks_run(project: Path, run_here) -> None:
    (project / "0001_a.rollback.sql").write_text("DROP TABLE a;\nCREATE EXTENSION no_such;\n")
    done = run_here("prove")
    assert (done.code, '0001_a.rollback.sql:2: the embedded PostgreSQL has no extension "no_such"' in done.err) == (
        1,
        True,
    )
    assert run_here("schema").code == 0


@pytest.mark.parametrize(
    "text",
    ["-- transactional: false\nBEGIN;\nCREATE EXTENSION no_such;\nCOMMIT;\n", 'create extension "no_such" cascade'],
)
def test_extension_is_seen_however_it_is_written(text: str, project: Path, run_here) -> None:
    (project / "0001_a.sql").write_text(text)
    done = run_here("apply")
    assert (done.code, 'has no extension "no_such"' in done.err) == (1, True), done.err


def test_extension_that_is_there_stops_nothing(project: Path, run_here) -> None:
    (project / "0001_a.sql").write_text("CREATE EXTENSION IF NOT EXISTS plpgsql;\nCREATE TABLE a ();\n")
    assert run_here("apply").code == 0
