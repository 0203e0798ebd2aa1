import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from killing import until
from pgyoyo.engine import connection
from pgyoyo.errors import UsageError
from pgyoyo.fleet import definition, members
from pgyoyo.fleet.canary import Cost, Lock
from pgyoyo.fleet.definition import Fleet, Limits
from pgyoyo.fleet.last_note import LastNote
from pgyoyo.fleet.members import Member
from pgyoyo.fleet.pool import Pool
from pgyoyo.fleet.report import bad_lines
from pgyoyo.fleet.run import Run
from pgyoyo.fleet.sessions import Sessions
from pgyoyo.fleet.visit import DONE, FAILED, INTERRUPTED, UNCHANGED, UNREACHABLE, Options, Visit, Visitor
from pgyoyo.migrations import reader
from pgyoyo.reports import Reports
from pgyoyo.schema import verify
from pgyoyo.scratch import databases

FILES = {
    "0001_t.sql": "CREATE TABLE t (id bigint PRIMARY KEY, email text);",
    "0001_t.rollback.sql": "DROP TABLE t;",
    "0002_w.sql": "-- depends: 0001_t\nALTER TABLE t ADD COLUMN w int;",
    "0002_w.rollback.sql": "ALTER TABLE t DROP COLUMN w;",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write(tmp_path / "sql", FILES)


@pytest.fixture
def tenants(conn: Connection) -> Connection:
    """A database with three schemas for tenants, one of them with a name that must be quoted."""
    conn.execute('CREATE SCHEMA t_1; CREATE SCHEMA t_2; CREATE SCHEMA "t_Über 3"')
    return conn


@pytest.fixture
def fleet(run_here: Any, database: str, files: Path) -> Callable[..., Any]:
    """Runs `pgyoyo fleet COMMAND` over the schemas of the tenants."""

    def call(command: str, *args: str, schemas: str = "t_%") -> Any:
        scratch = ["--scratch", database] if command in ("apply", "verify") else []
        options = ["--database", database, "--migrations", files, "--schemas", schemas, *scratch]
        return run_here("fleet", command, *options, *args)

    return call


def tables(conn: Connection) -> list[str]:
    rows = conn.execute(
        "SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relname = 't' ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows]


# --- a run -------------------------------------------------------------------------------------------------------------


def test_each_schema_gets_its_tables_and_a_ledger_of_its_own(fleet: Callable[..., Any], tenants: Connection) -> None:
    done = fleet("apply")
    assert done.code == 0, done.err
    assert tables(tenants) == ["t_1", "t_2", "t_Über 3"]
    assert "3 members: 3 done\n6 migrations applied" in done.out
    assert "canary t_1: " in done.err
    assert "warning" not in done.out
    ledgers = tenants.execute("SELECT count(*) FROM pg_class WHERE relname = '_yoyo_migration'").fetchone()
    assert ledgers == (3,)
    again = fleet("apply")
    assert (again.code, "3 members: 3 unchanged\n3 at 0002_w" in again.out) == (0, True)
    assert fleet("verify").out == "fleet: 3 of 3 members agree with the files\n"


def test_members_stand_where_they_stand_and_go_back(fleet: Callable[..., Any], tenants: Connection) -> None:
    assert fleet("apply", "--to", "0001").code == 0
    assert fleet("apply", schemas="t_1").code == 0
    assert fleet("status", "--exit-code").code == 3
    assert fleet("status").out.splitlines()[1:] == ["2 at 0001_t", "1 at 0002_w"]
    refused = fleet("rollback", "--to", "0001")
    assert (refused.code, "--yes rolls back without asking" in refused.err) == (2, True)
    back = fleet("rollback", "--to", "0001", "--yes")
    assert "3 members: 1 done, 2 unchanged" in back.out
    assert "3 at 0001_t" in back.out
    assert fleet("status").out.splitlines()[1:] == ["3 at 0001_t"]
    assert tables(tenants) == ["t_1", "t_2", "t_Über 3"]


def test_poisoned_member_is_left_as_it_is_and_the_others_are_done(
    fleet: Callable[..., Any], tenants: Connection, files: Path
) -> None:
    for number in range(4, 21):
        tenants.execute(f"CREATE SCHEMA t_{number}".encode())
    assert fleet("apply").code == 0
    tenants.execute("INSERT INTO t_2.t VALUES (1, 'a'), (2, 'a')")
    write(files, {"0003_u.sql": "CREATE UNIQUE INDEX u ON t (email);", "0003_u.rollback.sql": "DROP INDEX u;"})
    done = fleet("apply")
    assert done.code == 1
    assert "20 members: 19 done, 1 failed" in done.out
    assert "failed: t_2\n" in done.out
    assert "could not create unique index" in done.out
    assert "Fix the file, then run: pgyoyo fleet apply --schemas t_%" in done.out
    tenants.execute("DELETE FROM t_2.t WHERE id = 2")
    assert "1 done, 19 unchanged" in fleet("apply").out


def test_canary_beyond_a_limit_ends_the_run_with_nobody_else_touched(
    fleet: Callable[..., Any], tenants: Connection, files: Path
) -> None:
    assert fleet("apply").code == 0
    write(
        files,
        {
            "0003_slow.sql": "ALTER TABLE t ADD COLUMN x int;\nSELECT pg_sleep(0.4);",
            "0003_slow.rollback.sql": "ALTER TABLE t DROP COLUMN x;",
        },
    )
    done = fleet("apply", "--max-lock", "100ms", "--canary", "t_2")
    assert done.code == 1
    assert "ended: the canary t_2 cost too much: ACCESS EXCLUSIVE on t_2.t for " in done.out
    assert "2 not visited" in done.out
    columns = tenants.execute("SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'x'").fetchall()
    assert columns == [("t_2.t",)]
    assert fleet("apply", "--max-lock", "10s", "--bake", "100ms").code == 0


def test_a_canary_that_fails_is_the_only_one_tried(fleet: Callable[..., Any], tenants: Connection, files: Path) -> None:
    write(files, {"0000_x.sql": "SELECT 1/0;", "0000_x.rollback.sql": "SELECT 1;"})
    done = fleet("apply")
    assert (done.code, tables(tenants)) == (1, [])
    assert "1 failed, 2 not visited" in done.out
    everywhere = fleet("apply", "--canary", "0")
    assert "3 failed" in everywhere.out
    assert (
        "failed: t_1, t_2, t_Über 3" in everywhere.out.replace("t_2, t_1", "t_1, t_2") or "failed: " in everywhere.out
    )
    few = fleet("apply", "--canary", "0", "--jobs", "1", "--max-failures", "2")
    assert "2 failed, 1 not visited" in few.out
    assert "ended: 2 members failed, and max-failures is 2" in few.out


def test_a_member_whose_table_is_locked_is_no_failure(
    fleet: Callable[..., Any], tenants: Connection, database: str
) -> None:
    assert fleet("apply", "--to", "0001").code == 0
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE t_2.t")
        done = fleet("apply", "--canary", "0", "--max-failures", "1", "--give-up-after", "1ms")
        # With who was in the way, where the second session saw it in time.
        assert "    0002_w: could not get " in done.out
        told = fleet("apply", "--canary", "0", "--give-up-after", "1ms", "--format", "json", schemas="t_2")
        [member] = map(json.loads, told.out.splitlines())
        assert [member[key] for key in ("state", "at", "pending")] == ["locked", "0001_t", 1]
    assert (done.code, "2 done, 1 locked" in done.out) == (5, True), done.out
    assert "1 done, 2 unchanged" in fleet("apply").out


def test_who_was_in_the_way_is_never_what_a_migration_noted() -> None:
    heard = LastNote()
    reports = Reports(heard)
    reports.note("0001_t: could not get a lock")
    reports.ran("applied", "0001_t", 1.0, notices=["NOTICE: the key is hunter2"])
    assert not heard.text
    reports.note("waiting for the lock, held by pid 1")
    assert heard.text == "waiting for the lock, held by pid 1"


def test_canary_may_be_a_part_of_a_percent(fleet: Callable[..., Any], tenants: Connection) -> None:
    assert "canary t_1: " in fleet("apply", "--canary", "0.1%", "--to", "1").err
    assert fleet("apply", "--canary", "100%").err.count("canary t_") == 3
    assert '--canary is "t_9", which is no member' in fleet("apply", "--canary", "t_9").err


def test_the_canary_is_one_with_something_to_apply_up_to_the_target(
    fleet: Callable[..., Any], tenants: Connection, files: Path
) -> None:
    assert fleet("apply", "--to", "0001", schemas="t_1").code == 0
    done = fleet("apply", "--to", "0001")
    assert "canary t_2: " in done.err
    assert "3 members: 2 done, 1 unchanged" in done.out


def test_objects_of_each_member_are_streamed(fleet: Callable[..., Any], tenants: Connection) -> None:
    done = fleet("apply", "--format", "json")
    objects = [json.loads(line) for line in done.out.splitlines()]
    assert sorted(each["member"] for each in objects) == ["t_1", "t_2", "t_Über 3"]
    assert {(each["state"], *each["ran"], each["at"]) for each in objects} == {("done", "0001_t", "0002_w", "0002_w")}
    assert sum("cost" in each for each in objects) == 1


def test_members_that_drifted_in_the_same_way_are_shown_together(
    fleet: Callable[..., Any], tenants: Connection
) -> None:
    assert fleet("apply").code == 0
    tenants.execute('CREATE INDEX extra ON t_1.t (email); CREATE INDEX extra ON "t_Über 3".t (email)')
    tenants.execute("ALTER TABLE t_2.t DROP COLUMN w")
    done = fleet("verify")
    assert done.code == 4
    assert "2 members differ in the same way: t_1, t_Über 3\n    index <schema>.extra: added" in done.out
    assert "1 member differs: t_2\n" in done.out
    assert "fleet: 0 of 3 members agree with the files" in done.out


def test_schema_that_is_not_there_is_said_to_be_missing(
    run_here: Any, database: str, tenants: Connection, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pgyoyo]\nmigrations = ["sql"]\n[[tool.pgyoyo.fleet]]\nname = "all"\nschemas = ["t_1", "t_99"]\n'
    )
    monkeypatch.chdir(tmp_path)
    for command in (["status"], ["apply", "--canary", "0"], ["status"]):
        done = run_here("fleet", *command, "all", "--database", database)
        assert done.code == 1
        assert "unreachable: t_99\n    the schema t_99 does not exist in " in done.out, done.out
    assert "1 at 0002_w" in done.out


def test_member_that_was_done_otherwise_is_told_how_to_settle_it_alone(
    fleet: Callable[..., Any], tenants: Connection, files: Path
) -> None:
    write(files, {"0001_t.sql": "-- transactional: false\nCREATE TABLE t (id int);\nCREATE TABLE t (id int);"})
    done = fleet("apply", "--canary", "0", "--jobs", "1")
    assert "pgyoyo fleet apply --schemas t_%" in done.out
    tenants.execute("UPDATE t_1._pgyoyo_journal SET state = 'started'")
    done = fleet("apply", "--canary", "0", schemas="t_1")
    assert "pgyoyo settle 0001_t --done" in done.out, done.out
    assert "For this member alone add: --database " in done.out
    assert "t_1" in done.out.rpartition("--database")[2]


def test_edited_file_is_a_state_of_its_own(fleet: Callable[..., Any], tenants: Connection, files: Path) -> None:
    assert fleet("apply").code == 0
    write(files, {"0002_w.sql": FILES["0002_w.sql"] + " -- edited"})
    done = fleet("apply")
    assert (done.code, "3 members: 3 drift" in done.out) == (4, True)
    assert "edited after it was applied: 0002_w" in done.out


def test_shared_objects_come_first_and_hold_back_the_schemas_of_their_database(
    run_here: Any, database: str, tmp_path: Path, tenants: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "sql", {"0001_t.sql": "CREATE TABLE t (k kind);", "0001_t.rollback.sql": "DROP TABLE t;"})
    write(
        tmp_path / "shared", {"0001_k.sql": "CREATE TYPE kind AS ENUM ('a';", "0001_k.rollback.sql": "DROP TYPE kind;"}
    )
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pgyoyo]\nmigrations = ["sql"]\n[[tool.pgyoyo.fleet]]\nname = "all"\nschemas = ["t_1", "public", "t_2"]\n'
        'canary = 0\ngroups = [{ name = "shared", match = "public", migrations = ["shared"] }]\n'
    )
    monkeypatch.chdir(tmp_path)
    failed = run_here("fleet", "apply", "all", "--database", database)
    assert failed.code == 1
    assert "3 members: 1 failed, 2 held back" in failed.out
    assert "public, which comes first, ended as failed" in failed.out
    write(tmp_path / "shared", {"0001_k.sql": "CREATE TYPE kind AS ENUM ('a');"})
    done = run_here("fleet", "apply", "all", "--database", database)
    assert "3 members: 3 done" in done.out, done.out
    assert tables(tenants) == ["t_1", "t_2"]
    shown = run_here("fleet", "status", "all", "--database", database, "--format", "json").out.splitlines()
    groups = {each["member"]: each["group"] for each in map(json.loads, shown)}
    assert groups == {"public": "shared", "t_1": None, "t_2": None}


def test_member_that_is_not_there_is_unreachable_and_the_others_are_done(
    run_here: Any, database: str, files: Path, tmp_path: Path, tenants: Connection
) -> None:
    listed = tmp_path / "list.txt"
    gone = make_conninfo(database, dbname="no_such_database_here")
    listed.write_text(f"# all\n{database}\n\n{gone}\n")
    done = run_here("fleet", "apply", "--databases", listed, "--migrations", files)
    assert done.code == 1
    assert "1 done, 1 unreachable" in done.out
    assert tables(tenants) == ["public"]
    nobody = run_here("fleet", "apply", "--database", database, "--schemas", "nobody_%", "--migrations", files)
    assert (nobody.code, 'is in the fleet; schemas is "nobody_%"' in nobody.err) == (2, True)


def test_server_that_does_not_answer_is_not_waited_for_unless_asked(run_here: Any, files: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"host={tmp_path} dbname=nobody_listens\n")
    asked: list[float] = []
    connect = connection.connect

    def record(conninfo: str, *, wait: float = 0.0) -> Any:
        asked.append(wait)
        return connect(conninfo)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "connect", record)
        for options in ([], ["--wait", "1s"]):
            done = run_here("fleet", "apply", "--databases", listed, "--migrations", files, "--canary", "0", *options)
            assert (done.code, "1 unreachable" in done.out) == (1, True)
    assert asked == [0.0, 1.0]


def test_ledger_of_another_name_is_that_of_each_member(
    run_here: Any, database: str, tmp_path: Path, files: Path, tenants: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pgyoyo]\nmigrations = ["sql"]\nmigration_table = "done"\n'
        '[[tool.pgyoyo.fleet]]\nname = "all"\nschemas = ["t_1", "t_2"]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert run_here("fleet", "apply", "all", "--database", database).code == 0
    rows = tenants.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relname IN ('done', '_yoyo_migration') ORDER BY 1"
    )
    assert rows.fetchall() == [("t_1.done",), ("t_2.done",)]
    assert "2 members: 2 unchanged" in run_here("fleet", "apply", "all", "--database", database).out


def test_dependencies_count_before_names(fleet: Callable[..., Any], tenants: Connection, files: Path) -> None:
    write(files, {"0000_late.sql": "-- depends: 0002_w\nSELECT 1;", "0000_late.rollback.sql": "SELECT 1;"})
    assert fleet("apply", "--to", "0002").code == 0
    assert fleet("status").out.splitlines()[1:] == ["3 at 0002_w"]


def test_failure_of_a_tenant_keeps_what_it_shares_where_it_is(
    run_here: Any, database: str, tmp_path: Path, tenants: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "sql", {"0001_t.sql": "CREATE TABLE t ();", "0001_t.rollback.sql": "SELECT 1/0;"})
    write(tmp_path / "shared", {"0001_k.sql": "CREATE TABLE k ();", "0001_k.rollback.sql": "DROP TABLE k;"})
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pgyoyo]\nmigrations = ["sql"]\n[[tool.pgyoyo.fleet]]\nname = "all"\nschemas = ["t_1", "public"]\n'
        'groups = [{ match = "public", migrations = ["shared"] }]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert run_here("fleet", "apply", "all", "--database", database).code == 0
    done = run_here("fleet", "rollback", "all", "--database", database, "--yes")
    assert (done.code, "1 failed, 1 held back" in done.out) == (1, True)
    assert "t_1, which comes first, ended as failed" in done.out


def test_message_of_a_member_is_shown_as_it_is_whatever_its_name() -> None:
    visits = [Visit(Member(name, "", "", "", None, "", 0), FAILED, message=f"no table {name}.t") for name in ("t", "u")]
    assert bad_lines(visits) == ["failed: t", "    no table t.t", "failed: u", "    no table u.t"]
    visits = [Visit(Member(name, "", "", "", None, "", 0), FAILED, message=f"no {name}.x") for name in ("a_1", "a_2")]
    assert bad_lines(visits) == ["failed: a_1, a_2", "    no a_1.x"]


# --- at once -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def a_run(database: str, files: Path) -> Iterator[Callable[..., Run]]:
    """Makes a run over schemas of these names, without a canary."""
    made: list[Run] = []

    def make(names: Sequence[str], jobs: int = 8) -> Run:
        fleet = Fleet("f", schemas=tuple(names), limits=Limits(canary=0, jobs=jobs))
        visitor = Visitor([reader.read([str(files)])], Options(), Sessions())
        made.append(Run(fleet, members.find(fleet, lambda: database, {}, files), visitor, lambda _: None))
        return made[-1]

    yield make
    for run in made:
        run.visitor.sessions.close()


def test_backfills_at_a_time_are_counted_by_server_and_only_where_there_are_some(
    tenants: Connection, files: Path, a_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants.execute("CREATE TABLE t_1.t AS SELECT 1 AS id, NULL::int AS w; CREATE TABLE t_2.t (LIKE t_1.t)")
    for path in files.glob("*"):
        path.unlink()
    write(files, {"0001_w.sql": "-- backfill: batched\nUPDATE t SET w = 1 WHERE w IS NULL"})
    taken: list[tuple[str, int]] = []
    place = Sessions.place

    def note(sessions: Sessions, server: str, places: int) -> threading.BoundedSemaphore:
        taken.append((server, places))
        return place(sessions, server, places)

    monkeypatch.setattr(Sessions, "place", note)
    for _ in range(2):  # at head the second time
        run = a_run(["t_1", "t_2"])
        assert {visit.state for visit in run.apply()} <= {DONE, UNCHANGED}
    assert taken == [(run.members[0].server, 2)] * 2
    sessions = Sessions()
    free = [sessions.place("a", 2).acquire(blocking=False) for _ in range(3)]
    assert (free, sessions.place("b", 2).acquire(blocking=False)) == ([True, True, False], True)


def test_two_fleets_and_a_single_apply_at_once_apply_each_migration_once(
    run_here: Any, database: str, files: Path, tenants: Connection, a_run: Callable[..., Run]
) -> None:
    names = [f"m_{i}" for i in range(6)]
    for name in names:
        tenants.execute(f"CREATE SCHEMA {name}".encode())
    visits: list[Visit] = []
    runs = [a_run(names) for _ in range(2)]
    threads = [threading.Thread(target=lambda run=run: visits.extend(run.apply())) for run in runs]
    for thread in threads:
        thread.start()
    path = make_conninfo(database, options="-csearch_path=m_0")
    single = run_here("apply", "--database", path, "--migrations", files)
    for thread in threads:
        thread.join()
    assert single.code == 0, single.err
    assert {visit.state for visit in visits} <= {DONE, UNCHANGED}, [visit.message for visit in visits]
    for name in names:
        rows = tenants.execute(f"SELECT migration_id FROM {name}._yoyo_log ORDER BY 1".encode()).fetchall()
        assert rows == [("0001_t",), ("0002_w",)]


def test_interrupted_run_finishes_what_is_in_hand_and_begins_nothing_more(
    tenants: Connection, a_run: Callable[..., Run]
) -> None:
    run = a_run(["t_1", "t_2", "t_Über 3"], jobs=1)
    visits = []
    for visit in run.apply():
        visits.append(visit)
        run.interrupt()
    assert ([visit.state for visit in visits], run.left) == ([DONE], 2)
    assert tables(tenants) == ["t_1"]
    run.interrupt()
    assert run.visitor.sessions.is_cancelled


def test_second_interrupt_ends_a_member_that_tries_again_and_again_for_a_lock(
    tenants: Connection, database: str, a_run: Callable[..., Run]
) -> None:
    assert [visit.state for visit in a_run(["t_1"]).apply()] == [DONE]
    assert [visit.state for visit in a_run(["t_1"]).rollback()] == [DONE]
    run = a_run(["t_1"])
    visits: list[Visit] = []
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE t_1.t")
        thread = threading.Thread(target=lambda: visits.extend(run.apply()))
        thread.start()
        waits = "SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        until(lambda: tenants.execute(waits, [holder.info.backend_pid]).fetchone() is not None or not thread.is_alive())
        run.interrupt()
        run.interrupt()
        thread.join(30)
    assert [visit.state for visit in visits] == [INTERRUPTED], visits


def test_schema_that_goes_between_a_look_and_the_work_leaves_nothing_elsewhere(
    tenants: Connection, a_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["t_1", "t_2", "t_Über 3"]
    look = Visitor._look

    def looked(visitor: Visitor, member: Member) -> Any:
        seen = look(visitor, member)
        if member.id == "t_2":
            tenants.execute("DROP SCHEMA t_2 CASCADE")
        return seen

    monkeypatch.setattr(Visitor, "_look", looked)
    states = {visit.member.id: visit.state for visit in a_run(names, jobs=1).apply()}
    assert states == {"t_1": DONE, "t_2": UNREACHABLE, "t_Über 3": DONE}
    assert tables(tenants) == ["t_1", "t_Über 3"]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The conninfos of the sessions that are opened from now on, but for those that look at what takes long."""
    conninfos: list[str] = []
    connect = psycopg.Connection.connect.__func__  # type: ignore[attr-defined]

    def noted(cls: type[Connection], conninfo: str, **options: Any) -> Connection:
        if "pgyoyo watch" not in conninfo:
            conninfos.append(conninfo)
        return connect(cls, conninfo, **options)

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(noted))
    return conninfos


def test_members_at_head_share_a_session(tenants: Connection, a_run: Callable[..., Run], opened: list[str]) -> None:
    names = ["t_1", "t_2", "m_9"]
    tenants.execute("CREATE SCHEMA m_9")
    assert [visit.state for visit in a_run(names).apply()] == [DONE] * 3
    run = a_run(names, jobs=1)
    opened.clear()
    assert [visit.state for visit in run.apply()] == [UNCHANGED] * 3
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("text", "function", "sessions"),
    [
        # What it leaves behind, the next member must not meet.
        ("CREATE TEMP TABLE left_behind ();\nSELECT pg_advisory_lock(7);\nSET work_mem = '65kB';", False, 1),
        ("SELECT 1 / (current_setting('work_mem') <> '65kB')::int;\nSET work_mem = '65kB';", False, 1),
        ("SELECT current_setting('search_path');", False, 4),
        ("DO $$ BEGIN EXECUTE 'RES' || 'ET ALL'; END $$;", False, 4),
        ("SELECT 'dblink_connect';", False, 4),
        ("SET SESSION seed = 0;", False, 4),
        ("-- transactional: false\nSELECT 1;", False, 4),
        ("SELECT 1;", True, 4),
    ],
)
def test_a_session_serves_members_one_after_the_other_only_where_it_keeps_nothing(
    text: str, function: bool, sessions: int, tenants: Connection, a_run: Callable[..., Run], files: Path,
    opened: list[str],
) -> None:  # fmt: skip
    names = ["t_1", "t_2", "t_Über 3"]
    assert [visit.state for visit in a_run(names).apply()] == [DONE] * 3
    if function:
        tenants.execute("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'")
    header, _, rest = text.rpartition("\n") if text.startswith("--") else ("", "", text)
    write(
        files, {"0003_x.sql": f"{header}\n{rest}\nALTER TABLE t ADD COLUMN x int;".lstrip(), "0003_x.rollback.sql": ""}
    )
    run = a_run(names, jobs=1)
    opened.clear()
    assert [(visit.state, visit.message) for visit in run.apply()] == [(DONE, "")] * 3
    assert len(opened) == sessions
    held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = %s)"
    assert tenants.execute(held, [tenants.info.dbname]).fetchall() == []
    columns = tenants.execute(
        "SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'x' ORDER BY 1"
    ).fetchall()
    assert columns == [('"t_Über 3".t',), ("t_1.t",), ("t_2.t",)]


def test_session_that_looks_is_never_idle_for_too_long(
    tenants: Connection, a_run: Callable[..., Run], database: str
) -> None:
    name = sql.Identifier(conninfo_to_dict(database)["dbname"])
    tenants.execute(sql.SQL("ALTER DATABASE {} SET idle_session_timeout = '1h'").format(name))
    run = a_run(["t_1"])
    sessions = run.visitor.sessions
    with sessions.looking(run.members[0], 0.0) as first:
        assert first.execute("SHOW idle_session_timeout").fetchone() == ("0",)
    with sessions.of(run.members[0], 0.0, reuse=True) as served:
        assert (served is first, served.execute("SELECT current_schema()").fetchone()) == (True, ("t_1",))
    with sessions.looking(run.members[0], 0.0) as again:
        assert (again is first, again.execute("SHOW idle_session_timeout").fetchone()) == (True, ("0",))
        assert again.execute("SELECT current_schema()").fetchone() == ("public",)


# --- the pool ----------------------------------------------------------------------------------------------------------


def test_no_server_gets_more_than_its_share_and_a_full_one_keeps_nobody_waiting() -> None:
    guard, busy, most = threading.Lock(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    both = threading.Event()

    def work(member: Member) -> Visit:
        with guard:
            busy[member.server] += 1
            most[member.server] = max(most[member.server], busy[member.server])
            if all(busy.values()):
                both.set()
        both.wait(5)
        with guard:
            busy[member.server] -= 1
        return Visit(member, DONE)

    crowd = [Member(f"a{i}", "", "", "", None, "a", 0) for i in range(6)] + [Member("b", "", "", "", None, "b", 0)]
    visits = list(Pool[Visit](4, lambda _: 2).run(crowd, work))
    assert len(visits) == 7
    assert most == {"a": 2, "b": 1}


@pytest.fixture
def few(admin: Connection, database: str, tenants: Connection) -> Iterator[str]:
    """The conninfo of a role that may work on the tenants' database, but with two connections at a time."""
    role = f"few_{conninfo_to_dict(database)['dbname']}"
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT 2").format(sql.Identifier(role)))
    try:
        for schema in ("t_1", "t_2", "t_Über 3"):
            tenants.execute(sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(sql.Identifier(schema), sql.Identifier(role)))
        yield make_conninfo(database, user=role)
    finally:
        tenants.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_connections_that_a_role_may_have_are_kept_and_waited_for(
    few: str, a_run: Callable[..., Run], files: Path, opened: list[str]
) -> None:
    fleet = Fleet("f", schemas=("t_1", "t_2", "t_Über 3"), limits=Limits(canary=0))
    visitor = Visitor([reader.read([str(files)])], Options(), Sessions())
    run = Run(fleet, members.find(fleet, lambda: few, {}, files), visitor, lambda _: None)
    with psycopg.connect(few), psycopg.connect(few) as second:
        visits: list[Visit] = []
        thread = threading.Thread(target=lambda: visits.extend(run.apply()))
        before = len(opened)
        thread.start()
        until(lambda: len(opened) > before + 1)  # tried, refused, and tried again
        second.close()
        thread.join(30)
    visitor.sessions.close()
    assert [(visit.state, visit.message) for visit in visits] == [(DONE, "")] * 3


@pytest.mark.parametrize(
    ("limits", "places", "jobs"),
    [
        (Limits(), 8, 16),
        (Limits(jobs=4), 4, 4),
        (Limits(jobs=4, per_server=2), 2, 4),
        (Limits(max_connections=7), 2, 4),
        (Limits(per_server=3), 3, 6),
    ],
)
def test_jobs_are_by_server_unless_there_is_a_number(limits: Limits, places: int, jobs: int) -> None:
    assert (limits.places, limits.jobs_for(100, 2)) == (places, jobs)


# --- who is in it ------------------------------------------------------------------------------------------------------

BASE = "host=localhost dbname=base"


def found(table: dict[str, Any], root: Path, environ: dict[str, str] | None = None, base: str = BASE) -> list[Member]:
    return members.find(definition.read({"name": "f", **table}, "pgyoyo.toml"), lambda: base, environ or {}, root)


def test_databases_by_name_by_url_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "shards.txt").write_text("# shards\none\n\npostgresql://app:${PW}@h:5/two\n")
    one, two = found({"databases": "shards.txt"}, tmp_path, {"PW": "s3cret"})
    assert (one.id, one.database, one.conninfo.split()[-1]) == ("one", "one", "host=localhost")
    assert (two.id, "s3cret" in two.conninfo, two.server.startswith("h:5")) == ("two", True, True)


def test_a_query_gives_members_and_a_template_their_urls(database: str, tmp_path: Path) -> None:
    query = "SELECT * FROM (VALUES ('b b', 'h1', 2), ('a', 'h2', 1)) AS m (dbname, host, age)"
    table = {"databases": query, "template": "postgresql://app@{host}/{dbname}", "order_by": "age"}
    first, second = found(table, tmp_path, base=database)
    assert [first.id, second.id] == ["a", "b b"]
    assert second.database == "b b"
    both = found(
        {"databases": "SELECT 'd' AS dbname, 's' || i AS schema FROM generate_series(1, 2) AS i"},
        tmp_path,
        base=database,
    )
    assert [(member.id, member.schema) for member in both] == [("d/s1", "s1"), ("d/s2", "s2")]


def test_database_of_libpqs_environment_has_its_name(tmp_path: Path) -> None:
    fleet = Fleet("f", schemas=("a", "b"))
    assert {m.database for m in members.find(fleet, lambda: "host=h", {"PGDATABASE": "shop"}, tmp_path)} == {"shop"}


def test_the_same_name_on_two_servers_is_told_apart_and_the_same_database_twice_is_refused(tmp_path: Path) -> None:
    names = [
        member.id for member in found({"databases": ["host=h1 dbname=d", "host=h2 port=5 dbname=d", "x"]}, tmp_path)
    ]
    assert names == ["h1/d", "h2:5/d", "x"]
    with pytest.raises(UsageError, match="h1/d is in the fleet f twice; leave one out"):
        found({"databases": ["host=h1 dbname=d", "host=h1 dbname=d"]}, tmp_path)


def test_database_whose_schemas_can_not_be_asked_for_is_unreachable_and_the_others_are_done(
    run_here: Any, database: str, files: Path, tmp_path: Path, tenants: Connection
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{make_conninfo(database, dbname='no_such_database_here')}\n{database}\n")
    options = ["--databases", listed, "--schemas", "t_%", "--migrations", files, "--canary", "0"]
    done = run_here("fleet", "apply", *options)
    assert (done.code, "3 done, 1 unreachable" in done.out) == (1, True), done.out + done.err
    assert "unreachable: no_such_database_here" in done.out
    assert tables(tenants) == ["t_1", "t_2", "t_Über 3"]
    verified = run_here("fleet", "verify", *options[:6], "--scratch", database)
    assert (verified.code, "no_such_database_here could not be compared" in verified.err) == (1, True)


@pytest.mark.parametrize("name", ["new\nline", "back\\slash", "a, b", 'quo"te', "select", "tab\there"])
def test_schema_may_have_any_name(
    name: str, run_here: Any, database: str, files: Path, tmp_path: Path, conn: Connection
) -> None:
    conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    options = ["--database", database, "--schemas", "%", "--migrations", files]
    done = run_here("fleet", "apply", *options, "--canary", "0")
    assert done.code == 0, done.out
    assert sorted(tables(conn)) == sorted([name, "public"])
    assert "warning" not in done.out
    back = run_here("fleet", "rollback", *options, "--yes")
    assert (back.code, len(back.out.splitlines())) == (0, 6), back.out
    assert "2 at 0001_t" in back.out


def test_groups_are_in_their_order_and_the_rest_comes_last(tmp_path: Path) -> None:
    groups = [{"match": "eu_*"}, {"name": "first", "match": ["x[1]", "us_*"]}]
    fleet = found({"databases": ["z", "us_1", "eu_1", "x[1]"], "groups": groups}, tmp_path)
    assert [(member.id, member.group) for member in fleet] == [("eu_1", 0), ("us_1", 1), ("x[1]", 1), ("z", 2)]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "names no databases and no schemas"),
        ({"databases": []}, "databases has []; it must be a text or a list of texts"),
        ({"databases": ["postgresql://a:s3cret@h/d", 5]}, "databases has 5; it must be a text or a list of texts"),
        ({"databases": ["postgresql://a:x/s3cret@h/d"]}, '"postgresql://…" can be read in more than one way'),
        ({"databases": ["a"], "template": "postgresql://a:x/s3cret@h/{dbname}"}, "can be read in more than one way"),
        ({"databases": "postgresql://a:s3cret@h"}, 'databases is "postgresql://a:***@h", a single database; give a file'),
        ({"databases": "host=h password=s3cret"}, "password=***"),
        ({"databases": {"a": "postgresql://a:s3cret@h"}}, "databases has a table; it must be a text or a list of texts"),
        ({"databases": ["a"], "catalog": ["postgresql://a:s3cret@h"]}, "catalog is a list; it must be a text"),
        ({"databases": ["a", " "]}, "databases has ' '; it must be a text or a list of texts"),
        ({"databases": ["host=h dbname=d", "dbname=d host=h"]}, "d is in the fleet f twice"),
        ({"databases": ["a"], "jobs": "1.5"}, 'jobs is "1.5"; write a number: it is not a whole number'),
        ({"databases": ["a"], "backfills": True}, 'backfills is "True"; write a number: it is not a whole number'),
        ({"databases": ["a"], "canary": "-1"}, 'canary is "-1"; write a number or a percentage: it must not be negative'),
        ({"databases": ["a"], "canary": "0,1%"}, '"0,1%" is not a percentage; write 10%'),
        ({"databases": ["a"], "max-failures": "101%"}, "a percentage lies between 0% and 100%"),
        ({"databases": ["a"], "max-wal": "1 GBB"}, 'max-wal is "1 GBB"; write a size'),
        ({"databases": ["a"], "bake": "10 minutes"}, 'bake is "10 minutes"; write a time'),
        ({"database": ["a"]}, 'unknown key "database"; did you mean databases?'),
        ({"databases": ["a", "a"]}, "a is in the fleet f twice"),
        ({"databases": "nowhere.txt"}, 'databases is "nowhere.txt", which is no query, and as a file can\'t be read'),
        ({"databases": ["postgresql://a:$NOPE@h/d"]}, "needs the variable NOPE, which is not set"),
        ({"databases": ["a"], "order_by": "age"}, 'order_by is "age"; known are dbname, id'),
        ({"databases": ["a"], "template": "postgresql://h/{db}"}, "template has {db}; known are dbname"),
        ({"databases": ["a"], "groups": [{"name": "g"}]}, "match of a group is None"),
        ({"databases": ["a"], "groups": [{"match": "g", "folder": "x"}]}, 'a group has an unknown key "folder"'),
        ({"databases": ["a"], "jobs": 0}, 'jobs is "0"; write a number: it must be 1 or more'),
        ({"databases": ["a"], "max-connections": 2}, 'max-connections is "2"; write a number: it must be 3 or more'),
        ({"databases": ["a"], "max-failures": "200%"}, 'max-failures is "200%"'),
        ({"databases": ["a"], "max-lock": "soon"}, 'max-lock is "soon"; write a time'),
        ({"databases": ["a"], "max-wal": "much"}, 'max-wal is "much"; write a size'),
    ],
)  # fmt: skip
def test_a_fleet_that_can_not_be_meant_is_refused_with_the_value(
    table: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        found(table, tmp_path)
    assert words in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_file_of_databases_may_come_from_windows(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf# shards\r\none\r\n\r\n  two \r\n# three\r\n")
    assert [member.id for member in found({"databases": "list.txt"}, tmp_path)] == ["one", "two"]


def test_a_password_of_a_variable_may_have_any_character(tmp_path: Path) -> None:
    for word in ("a@b/c:d?e#f", "100% [x] {y}", "p%40ss", "%zz"):
        for text in ("postgresql://app:${PW}@h:5/d", "postgresql://$APP:$PW@h:5/d"):
            [member] = found({"databases": [text]}, tmp_path, {"PW": word, "APP": "app"})
            facts = conninfo_to_dict(member.conninfo)
            assert (facts["password"], facts["user"], facts["host"]) == (unquote(word), "app", "h")
    [member] = found({"databases": ["postgresql://app@${HOST}/d"]}, tmp_path, {"HOST": "[::1]:5433"})
    assert conninfo_to_dict(member.conninfo)["port"] == "5433"


@pytest.mark.parametrize(
    ("key", "query", "words"),
    [
        ("databases", "SELECT 'd' AS dbname UNION ALL SELECT NULL ORDER BY 1", "gives row 2 with a dbname that is NULL"),
        ("databases", "SELECT '' AS dbname", "gives row 1 with a dbname that is empty; leave it out with WHERE"),
        ("databases", "SELECT NULL AS url, NULL AS dbname", "gives row 1 with a url that is NULL"),
        ("databases", "SELECT 'd' AS dbname, NULL AS schema", "gives row 1 with a schema that is NULL"),
        ("databases", "SELECT NULL AS schema", "gives row 1 with a schema that is NULL"),
        ("databases", "SELECT 'd' AS dbname WHERE false", "no database or schema is in the fleet f"),
        ("databases", "SELECT 'x' AS id, 'd' AS dbname UNION ALL SELECT 'y', 'd'", "are the same database; leave one out"),
        ("schemas", "SELECT NULL AS schema", "the query for schemas of the fleet f gives row 1 with a schema that is NULL"),
        ("schemas", "SELECT 'a' AS name", "gives the columns name; it must give schema"),
        ("schemas", "SELECT 'a' AS id, 's' AS schema UNION ALL SELECT 'b', 's'", "are the same schema; leave one out"),
    ],
)  # fmt: skip
def test_a_query_never_gives_the_projects_own_database_by_mistake(
    key: str, query: str, words: str, database: str, tmp_path: Path
) -> None:
    for more in ({}, {"template": "postgresql://h/{dbname}"} if key == "databases" and "dbname" in query else {}):
        with pytest.raises(UsageError) as error:
            found({key: query, **more}, tmp_path, base=database)
        assert words in str(error.value)


def test_a_query_that_fails_or_gives_no_names_is_refused_without_the_password(database: str, tmp_path: Path) -> None:
    base = make_conninfo(database, password="s3cretword")
    for query in (
        "SELECT 1/0 AS dbname",
        "SELECT 1 AS other",
        "WITH x AS (DELETE FROM pg_class RETURNING 1) SELECT 1 AS dbname FROM x",
    ):
        with pytest.raises(UsageError) as error:
            found({"databases": query}, tmp_path, base=base)
        assert "the query for databases of the fleet f" in str(error.value)
        assert "s3cretword" not in str(error.value)


def test_a_name_that_is_not_there_is_answered_with_the_nearest() -> None:
    tables = [{"name": "tenants", "schemas": "t_%"}, {"name": "shards", "databases": ["a"]}]
    with pytest.raises(UsageError, match="did you mean tenants"):
        definition.choose(tables, "tenant", "pyproject.toml")
    with pytest.raises(UsageError, match=r'two .* have the name "shards"'):
        definition.choose([*tables, tables[1]], "shards", "pyproject.toml")


@pytest.mark.parametrize(
    ("limits", "members_", "failures", "canaries"),
    [
        (Limits(), 1000, 10, 1),
        (Limits(max_failures=0.05, canary=0.01), 1000, 50, 10),
        (Limits(max_failures=0.05, canary=0.01), 3, 1, 1),
        (Limits(max_failures=0, canary=0), 3, 0, 0),
        (definition.limits({"max-failures": "100%", "canary": "100%"}, "x"), 1000, 1000, 1000),
        (definition.limits({"max-failures": "0%", "canary": "0%"}, "x"), 1000, 0, 0),
        (definition.limits({"max-failures": "0.5%", "canary": "0.1%"}, "x"), 1000, 5, 1),
    ],
)
def test_a_limit_is_a_number_or_a_share_of_the_members(
    limits: Limits, members_: int, failures: int, canaries: int
) -> None:
    assert (limits.failures_allowed(members_), limits.canaries(members_)) == (failures, canaries)


def test_cost_beyond_each_limit_is_named_with_it() -> None:
    cost = Cost(3.0, (Lock("a.t", "ACCESS EXCLUSIVE", 2.5),), 1, 5_000_000, 0)
    assert cost.beyond(Limits()) == []
    assert cost.beyond(Limits(max_lock=3, max_wal=10_000_000, max_duration=4)) == []
    faults = cost.beyond(Limits(max_lock=2, max_wal=1_000_000, max_duration=1))
    assert [fault.partition(", more than ")[2].split(" ")[0] for fault in faults] == [
        "max-lock",
        "max-wal",
        "max-duration",
    ]


def test_question_before_a_rollback_and_a_comparison_end_at_ctrl_c(
    fleet: Callable[..., Any], tenants: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = []

    def ask(*_: object, **__: object) -> bool:
        handlers.append(signal.getsignal(signal.SIGINT))
        return False

    monkeypatch.setattr("click.confirm", ask)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        assert fleet("rollback").code == 2
        assert handlers == [signal.getsignal(signal.SIGINT)] == [signal.default_int_handler]
    finally:
        signal.signal(signal.SIGINT, before)


def test_databases_with_the_same_migrations_are_compared_with_one_that_is_built_once(
    run_here: Any, database: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, admin: Connection
) -> None:
    built: list[object] = []
    rebuilt = verify.rebuilt
    monkeypatch.setattr(verify, "rebuilt", lambda *args, **given: built.append(args) or rebuilt(*args, **given))
    name = f"{conninfo_to_dict(database)['dbname']}_b"
    databases.create(admin, name)
    try:
        listed = tmp_path / "list.txt"
        listed.write_text(f"{database}\n{make_conninfo(database, dbname=name)}\n")
        options = ["--databases", listed, "--migrations", files, "--scratch", database]
        assert run_here("fleet", "apply", *options).code == 0
        done = run_here("fleet", "verify", *options)
        assert done.out == "fleet: 2 of 2 members agree with the files\n", done.out + done.err
        assert len(built) == 1
    finally:
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_phase_holds_for_each_member(tenants: Connection, files: Path, fleet: Callable[..., Any]) -> None:
    write(files, {"0002_w.sql": "-- phase: contract\nALTER TABLE t DROP COLUMN email;"})
    assert (fleet("apply", "--phase", "expand").code, tables(tenants)) == (0, ["t_1", "t_2", "t_Über 3"])
    assert "3 at 0001_t" in fleet("status").out
    assert fleet("apply", "--phase", "contract").code == 0
    assert "3 at 0002_w" in fleet("status").out


def test_answer_that_could_not_be_read_is_called_that(tmp_path: Path) -> None:
    [member] = found({"databases": ["x"]}, tmp_path)

    def work() -> Visit:
        raise psycopg.DatabaseError('insufficient data in "T" message')

    visit = Visitor((), Options(), Sessions())._guarded(member, work)
    assert (visit.state, visit.message) == (
        "failed", "the server's answer could not be read: insufficient data in \"T\" message",
    )  # fmt: skip
