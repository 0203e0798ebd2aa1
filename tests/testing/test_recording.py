"""pytest --pgyoyo-record: the file holds what the tests of an application sent, and nothing else."""

import fcntl
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgyoyo.server import in_memory, tests_server
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.testing import plugin
from pgyoyo.testing.server import Place
from pgyoyo.workload import statements
from pgyoyo.workload.collecting import collected
from pgyoyo.workload.placeholders import numbered
from pgyoyo.workload.statements import Query

HERE = Path(__file__).parent
MIGRATIONS = HERE.parents[1] / "sql" / "migrations"
CONFTEST = """
from pathlib import Path
from pgyoyo.server import tests_server
tests_server.home = lambda root: Path({!r})
"""


@pytest.fixture
def embedded(pgyoyo_server: str, request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """The tests' own server, which stays when the last of the inner processes ends; else, or if it is of old, another one."""
    place = request.config.stash[plugin.SERVER]
    is_new = place.clones.admin.execute("SHOW log_line_prefix").fetchone() == (in_memory.FAST["log_line_prefix"],)
    embedded = (is_new and place.embedded) or request.getfixturevalue("own_server")
    with (embedded.home / f"in-use-{embedded.version}").open("ab") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_SH)
        yield embedded


@pytest.fixture
def record(
    embedded: EmbeddedServer, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    """Runs a test file with --pgyoyo-record=queries.sql on that server, with the seed's migrations."""
    monkeypatch.delenv("PGYOYO_TEST_DATABASE_URL", raising=False)
    monkeypatch.setenv("SENT", str(pytester.path))
    monkeypatch.setattr(tests_server, "home", lambda root: embedded.home)
    pytester.makeconftest(CONFTEST.format(str(embedded.home)))  # for the workers of pytest-xdist
    pytester.makeini(f"[pytest]\npgyoyo_migrations = {MIGRATIONS}\npgyoyo_database = embedded")

    def run(test: str, *args: str) -> pytest.RunResult:
        pytester.makepyfile(test_suite=test)
        plain = ("--assert=plain", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
        return pytester.runpytest_inprocess(*plain, "--pgyoyo-record=queries.sql", *args)

    return run


def texts(path: Path) -> set[str]:
    return {query.text for query in statements.read(path)}


def test_what_an_application_sent_is_in_the_file_and_no_value(
    record: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    result = record((HERE / "recorded_application.py").read_text(), "-n", "2")
    result.assert_outcomes(passed=5)
    sent = [text for path in pytester.path.glob("sent-*.json") for text in json.loads(path.read_text())]
    assert len(sent) > 20
    expected = collected([Query(numbered(text)) for text in sent], keep_literals=False)
    assert texts(pytester.path / "queries.sql") == {query.text for query in expected.queries}
    assert "private" not in (pytester.path / "queries.sql").read_text()
    result.stdout.fnmatch_lines([f"pgyoyo: wrote *queries.sql: {len(expected.queries)} statements"])


STOPPED = """
import psycopg
import pytest

def test_fails(migrated_db):
    migrated_db.execute("SELECT id FROM cj_batch_uploads WHERE language = 'sv'")
    migrated_db.execute("SELECT no_such FROM cj_batch_uploads WHERE id = %s", [1])

def test_migration(migration_db):
    db = migration_db("0005")
    db.conn.execute("SELECT batch_id FROM cj_batch_states")
    db.apply()

def test_stops(migrated_session_url, migrated_module_url):
    for url, table in (migrated_session_url, "cj_batch_uploads"), (migrated_module_url, "cj_batch_states"):
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(f"PREPARE counted AS SELECT count(*) FROM {table}")
            conn.execute("EXECUTE counted")
            conn.execute("EXECUTE counted")
            with pytest.raises(psycopg.errors.SyntaxError):
                conn.execute("SELECT FROM WHERE")
    pytest.exit("enough")

def test_never_runs(migrated_db):
    migrated_db.execute("SELECT 2 FROM cj_batch_uploads")
"""
NOTHING = "def test_sends_nothing(migrated_db): pass"


def test_a_run_that_fails_and_is_interrupted_leaves_what_was_sent_until_then(
    record: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    result = record(STOPPED)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1, failed=1)
    path = pytester.path / "queries.sql"
    assert statements.read(path) == [
        Query("SELECT count(*) FROM cj_batch_states"),
        Query("SELECT count(*) FROM cj_batch_uploads"),
        Query("SELECT id FROM cj_batch_uploads WHERE language = $1"),
        Query("SELECT no_such FROM cj_batch_uploads WHERE id = $1"),
    ]
    result.stdout.fnmatch_lines(["pgyoyo: wrote *queries.sql: 4 statements"])
    written = path.read_bytes()
    result = record(NOTHING)
    result.stdout.fnmatch_lines(["pgyoyo: no statement reached the tests' databases; *queries.sql is not written"])
    assert (result.ret, path.read_bytes()) == (0, written)


def test_what_can_not_be_recorded_is_said_before_a_test_runs(
    record: Callable[..., pytest.RunResult], pgyoyo_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for args, words in (
        ([f"--override-ini=pgyoyo_database={pgyoyo_server}"], "*reads the log of the embedded server*"),
        (["--pgyoyo-record=no/such/queries.sql"], "*there is no folder *no/such*"),
    ):
        result = record(NOTHING, *args)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([words])
        assert "passed" not in result.stdout.str()


def test_a_file_that_can_not_be_written_fails_the_run(
    record: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    result = record("def test_it(migrated_db): migrated_db.execute('TABLE cj_batch_uploads')", "--pgyoyo-record=.")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["pgyoyo: *cannot be written*"])


def test_the_part_of_the_log_that_was_recorded_goes_with_the_last_process(tmp_path: Path) -> None:
    embedded = SimpleNamespace(log=tmp_path / "log")
    embedded.log.write_text("kept\nrecorded\n")
    clones = SimpleNamespace(close=lambda: True)
    with (tmp_path / "in-use").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        for kept in ("kept\nrecorded\n", "kept\n"):
            Place(clones, embedded, (tmp_path / "in-use").open("ab"), log_start=5).close()
            assert embedded.log.read_text() == kept
            fcntl.flock(other, fcntl.LOCK_UN)
