"""What another run did between the first look and the lock is seen under it, by each command that changes the ledger."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pgyoyo.engine import lock

# Where it begins, a command, and what another run does meanwhile. All pairs were tried; these are of each kind.
APPLIED, HALF, NONE = ("apply",), ("apply", "--to", "1"), ()
ALL = ("rollback", "--all", "--yes")
CASES = [
    (NONE, ("apply",), ("apply", "--to", "2")), (HALF, ("apply",), ALL),
    (HALF, ("apply", "--single-transaction"), ("apply",)),
    (APPLIED, ("rollback", "--count", "2"), ("rollback",)), (APPLIED, ("rollback", "--to", "1"), ALL),
    (APPLIED, ("rollback", "2"), ("rollback",)), (APPLIED, ALL, ("rollback", "1")), (HALF, ("redo",), ("apply",)),
    (APPLIED, ("redo",), ALL), (HALF, ("mark", "3"), ("apply",)), (APPLIED, ("unmark", "2"), ALL),
    (NONE, ("baseline", "--to", "3", "--yes"), ("apply", "--to", "2")), (APPLIED, ("repair",), ALL),
    (APPLIED, ("repair", "2"), ("rollback",)),
]  # fmt: skip


class Gap:
    """Runs something once, when a command has looked and does not have the lock yet."""

    act: Callable[[], object] | None = None


@pytest.fixture
def gap(monkeypatch: pytest.MonkeyPatch) -> Gap:
    gap, real = Gap(), lock.hold

    @contextmanager
    def hold(*args, **options) -> Iterator[lock.Held]:
        act, gap.act = gap.act, None
        if act:
            act()
        with real(*args, **options) as held:
            yield held

    monkeypatch.setattr(lock, "hold", hold)
    return gap


def test_each_command_takes_what_another_did_meanwhile(
    tmp_path: Path, database: str, conn: psycopg.Connection, run_here, gap: Gap
) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"000{number}_t.sql").write_text(f"CREATE TABLE t{number} ();")
        (tmp_path / f"000{number}_t.rollback.sql").write_text(f"DROP TABLE t{number};")

    def run(words: tuple[str, ...]) -> tuple[int, str]:
        result = run_here(*words, "--database", database, "--migrations", tmp_path)
        return result.code, result.out + result.err

    def state() -> tuple[set[str], set[str]]:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^t[0-9]$'").fetchall()
        rows = conn.execute("SELECT migration_id FROM _yoyo_migration").fetchall()
        return {name for (name,) in tables}, {f"t{name[3]}" for (name,) in rows}

    run(APPLIED)
    faults = []
    for first, words, second in CASES:
        conn.execute("DROP TABLE IF EXISTS t1, t2, t3; TRUNCATE _yoyo_migration, _pgyoyo_migration")
        if first:
            run(first)
        did: list[tuple[int, str]] = []
        gap.act = lambda did=did, second=second: did.append(run(second))
        code, text = run(words)
        gap.act = None
        tables, rows = state()
        # What is marked by hand is not looked at.
        apart = tables != rows and words[0] not in ("mark", "unmark", "baseline")
        if "Traceback" in text or code not in range(5) or apart or (words[0] != "repair" and not did):
            faults.append((first, words, second, code, text, tables, rows))
    assert faults == []
