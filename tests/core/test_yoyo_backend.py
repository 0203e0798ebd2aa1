"""One truth: the plain yoyo command and pgyoyo read and write the same ledger, and each goes on where the other left."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from running import Run, Runners

MIGRATIONS = Path(__file__).parents[2] / "sql" / "migrations"
IDS = sorted(path.stem for path in MIGRATIONS.glob("*.sql") if not path.name.endswith(".rollback.sql"))

FILES = {
    "0001_a.sql": "-- depends: 0002_b\nCREATE TABLE a (i int REFERENCES b);",
    "0001_a.rollback.sql": "DROP TABLE a;",
    "0002_b.sql": "CREATE TABLE b (i int PRIMARY KEY);",
    "0002_b.rollback.sql": "DROP TABLE b;",
    "0003_c.d.sql": "CREATE TABLE c ();\nCREATE TABLE d ();",
    "0003_c.d.rollback.sql": "DROP TABLE d;\nDROP TABLE c;",
    "0004_e.sql": "CREATE TABLE e ();",
    "0004_e.rollback.sql": "DROP TABLE e;",
    "post-apply.sql": "CREATE TABLE IF NOT EXISTS hook (i int); INSERT INTO hook VALUES (1);",
}
STEMS = ["0001_a", "0002_b", "0003_c.d", "0004_e"]


@dataclass(frozen=True)
class Both:
    """A folder and a database, with the plain yoyo and pgyoyo to work on them."""

    folder: Path
    database: str
    conn: psycopg.Connection
    run: Callable
    runners: Runners

    def yoyo(self, command: str, *args: str, scheme: str = "postgresql+psycopg") -> Run:
        facts = conninfo_to_dict(self.database)
        rest = "&".join(f"{key}={quote(str(facts[key]), safe='')}" for key in ("host", "port") if key in facts)
        password = ":" + quote(facts["password"], safe="") if facts.get("password") else ""
        url = f"{scheme}://{quote(facts.get('user') or '', safe='')}{password}@/{facts['dbname']}?{rest}"
        words = (command, "--batch", "--no-config-file", *args, "--database", url, self.folder)
        return self.runners.run(*words, program="yoyo")

    def yoyo_does(self, command: str, *args: str, scheme: str = "postgresql+psycopg") -> None:
        done = self.yoyo(command, *args, scheme=scheme)
        assert done.wait() == 0, done.err

    def pgyoyo_does(self, command: str, *args: str) -> None:
        done = self.run(command, *args, "--database", self.database, "--migrations", self.folder)
        assert done.code == 0, done.err

    def listed(self, scheme: str = "postgresql+psycopg") -> list[tuple[str, bool]]:
        """What `yoyo list` says, in its order."""
        done = self.yoyo("list", scheme=scheme)
        assert done.wait() == 0, done.err
        lines = done.out.split("\n")
        rows = [line.split() for line in lines[2:] if line]
        assert lines[0].split() == ["STATUS", "ID", "SOURCE"]
        return [(row[1], {"A": True, "U": False}[row[0]]) for row in rows]

    def agreed(self) -> list[str]:
        """The ids that are applied, sorted; the plain yoyo and pgyoyo say the same of all, with the same ones pending."""
        done = self.run("status", "--format", "json", "--database", self.database, "--migrations", self.folder)
        assert done.code == 0, done.err
        ours = json.loads(done.out)["migrations"]
        theirs = self.listed()
        assert {one["id"]: one["state"] == "applied" for one in ours} == dict(theirs)
        assert [one["id"] for one in ours if one["state"] == "pending"] == [name for name, done in theirs if not done]
        return sorted(name for name, applied in theirs if applied)

    def applied(self) -> list[str]:
        """The ids in the ledger, sorted."""
        return [row[0] for row in self.conn.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1").fetchall()]

    def tables(self) -> str:
        rows = self.conn.execute("SELECT relname FROM pg_class WHERE relname ~ '^([a-e]|hook)$' ORDER BY 1").fetchall()
        return " ".join(row[0] for row in rows)

    def operations(self) -> list[tuple[str, str]]:
        return self.conn.execute("SELECT migration_id, operation FROM _yoyo_log ORDER BY created_at_utc").fetchall()


@pytest.fixture
def both(tmp_path: Path, database: str, conn: psycopg.Connection, run_here, runners: Runners) -> Both:
    folder = tmp_path / "sql"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return Both(folder, database, conn, run_here, runners)


@pytest.fixture
def shipped(database: str, conn: psycopg.Connection, run_here, runners: Runners) -> Both:
    return Both(MIGRATIONS, database, conn, run_here, runners)


# --- Agreement at every point ---


def test_list_and_status_agree_on_the_shipped_migrations_at_every_point(shipped: Both) -> None:
    assert shipped.agreed() == []
    shipped.pgyoyo_does("apply", "--to", IDS[2])
    assert shipped.agreed() == IDS[:3]
    shipped.pgyoyo_does("apply")
    assert shipped.agreed() == IDS
    shipped.pgyoyo_does("rollback")
    assert shipped.agreed() == IDS[:-1]
    shipped.yoyo_does("rollback")
    assert shipped.agreed() == IDS[:-2]
    shipped.yoyo_does("apply", "--revision", IDS[-2])
    assert shipped.agreed() == IDS[:-1]


def test_list_and_status_agree_on_an_order_made_by_depends(both: Both) -> None:
    both.pgyoyo_does("apply", "--to", "0002_b")
    assert both.agreed() == ["0002_b"]
    assert [name for name, _ in both.listed()] == ["0002_b", "0001_a", "0003_c.d", "0004_e"]


def test_status_leaves_nothing_behind(both: Both) -> None:
    both.pgyoyo_does("status")
    assert both.conn.execute("SELECT count(*) FROM pg_class WHERE relname ~ 'yoyo'").fetchone() == (0,)


# --- Each goes on where the other left ---


def test_pgyoyo_goes_on_where_yoyo_left(both: Both) -> None:
    both.yoyo_does("apply", "--revision", "0001_a")
    assert (both.applied(), both.tables()) == (["0001_a", "0002_b"], "a b hook")
    both.pgyoyo_does("apply")
    assert (both.applied(), both.tables()) == (STEMS, "a b c d e hook")
    # Also what yoyo applied can be rolled back, though its text is not in the ledger.
    both.pgyoyo_does("rollback", "--all", "--yes")
    assert (both.applied(), both.tables()) == ([], "hook")
    assert both.conn.execute("SELECT count(*) FROM hook").fetchone() == (2,)


def test_yoyo_goes_on_where_pgyoyo_left(both: Both) -> None:
    both.pgyoyo_does("apply", "--to", "0001_a")
    assert (both.applied(), both.tables()) == (["0001_a", "0002_b"], "a b hook")
    both.yoyo_does("apply")
    assert (both.applied(), both.tables()) == (STEMS, "a b c d e hook")
    both.yoyo_does("rollback", "--all")
    assert (both.applied(), both.tables()) == ([], "hook")
    # What is kept of the first time says nothing of a second one by yoyo, with another text.
    (both.folder / "0001_a.sql").write_text("-- Changed.\n" + FILES["0001_a.sql"])
    both.yoyo_does("apply")
    assert both.agreed() == STEMS


def test_yoyos_mark_and_unmark_are_believed(both: Both) -> None:
    both.yoyo_does("mark", "--revision", "0002_b")
    both.conn.execute("CREATE TABLE b (i int PRIMARY KEY)")
    both.pgyoyo_does("apply")
    assert (both.applied(), both.tables()) == (STEMS, "a b c d e hook")
    both.yoyo_does("unmark", "--revision", "0004_e")
    assert both.agreed() == STEMS[:3]


# --- The plain command on our backend ---

OURS = "postgresql+pgyoyo"


def test_yoyo_on_our_backend_applies_lists_and_rolls_back(both: Both) -> None:
    assert [applied for _, applied in both.listed(OURS)] == [False] * 4
    both.yoyo_does("apply", scheme=OURS)
    assert (both.applied(), both.tables()) == (STEMS, "a b c d e hook")
    assert [applied for _, applied in both.listed(OURS)] == [True] * 4
    # Our own facts stand beside, as if pgyoyo had done it.
    assert both.conn.execute("SELECT count(*) FROM _pgyoyo_migration WHERE finished_at IS NOT NULL").fetchone() == (4,)
    both.yoyo_does("rollback", scheme=OURS)
    assert (both.applied(), both.tables()) == (STEMS[:3], "a b c d hook")
    both.yoyo_does("rollback", "--all", scheme=OURS)
    assert (both.applied(), both.tables()) == ([], "hook")
    log = [operation for name, operation in both.operations() if name in STEMS]
    assert log == ["apply"] * 4 + ["rollback"] * 4
    assert both.conn.execute("SELECT count(*) FROM yoyo_lock").fetchone() == (0,)


def test_failing_file_leaves_neither_table_nor_row_on_our_backend(both: Both) -> None:
    (both.folder / "0003_c.d.sql").write_text("CREATE TABLE c ();\nCREATE TABLE d ();\nSELECT 1/0;")
    done = both.yoyo("apply", scheme=OURS)
    assert done.wait() != 0
    assert "0003_c.d.sql:3" in done.err
    assert "division by zero" in done.err
    assert (both.applied(), both.tables()) == (["0001_a", "0002_b"], "a b")
    assert both.conn.execute("SELECT count(*) FROM _pgyoyo_migration").fetchone() == (2,)
    assert ("0003_c.d", "apply") not in both.operations()
    # No lock stays: the next run goes on, with the file mended.
    (both.folder / "0003_c.d.sql").write_text(FILES["0003_c.d.sql"])
    both.yoyo_does("apply", scheme=OURS)
    assert (both.applied(), both.tables()) == (STEMS, "a b c d e hook")


def test_failing_or_empty_rollback_leaves_table_and_row_on_our_backend(both: Both) -> None:
    both.pgyoyo_does("apply")
    for text, words in (("DROP TABLE e;\nSELECT 1/0;", "division by zero"), ("-- Later.", "has no statement")):
        (both.folder / "0004_e.rollback.sql").write_text(text)
        done = both.yoyo("rollback", scheme=OURS)
        assert done.wait() != 0
        assert words in done.err
        assert (both.applied(), both.tables()) == (STEMS, "a b c d e hook")
        assert ("0004_e", "rollback") not in both.operations()


def test_force_is_refused_on_our_backend(both: Both) -> None:
    done = both.yoyo("apply", "--force", scheme=OURS)
    assert done.wait() != 0
    assert "--force would record a migration as done whatever failed in it" in done.err
    assert (both.applied(), both.tables()) == ([], "")
