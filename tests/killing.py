"""Runners that are killed with SIGKILL at chosen places, and what must be true of the database afterwards."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from pgyoyo.catalog import snapshot as catalog
from pgyoyo.scratch import databases
from proxy import Cut, Link, Proxy
from running import PATIENCE, Run, Runners

NOTHING = "nothing done"

# --- The migrations. Each statement that matters leaves a row in `tally`, so that one done twice is counted. ---

HARNESS = """
CREATE TABLE tally (migration int, way text, statement int);
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7, NEW.migration * 100 + NEW.statement + 50 * (NEW.way = 'rollback')::int);
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON tally FOR EACH ROW EXECUTE FUNCTION gate();
CREATE FUNCTION ledger_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    line jsonb = CASE TG_OP WHEN 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        8, hashtext(concat_ws(' ', TG_OP, TG_TABLE_NAME, line->>'statement', line->>'state')));
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
"""
LEDGER = ("_yoyo_migration", "_yoyo_log", "_pgyoyo_migration", "_pgyoyo_journal")
# A ledger with a trigger on it is refused, unless the trigger is one that PostgreSQL made for itself: these pass for that.
LEDGER_GATES = (
    "".join(
        f"CREATE TRIGGER gate BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_gate();\n"
        for table in LEDGER
    )
    + "SET allow_system_table_mods = on;\n"
    + "UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'gate' AND tgrelid <> 'tally'::regclass;\n"
    + "RESET allow_system_table_mods;\n"
)
WORK = {
    "0001_tables": """
-- lock-timeout: 0
{1}
CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL);
{2}
INSERT INTO t SELECT i, i FROM generate_series(1, 50) AS i;
{3}
""",
    "0001_tables.rollback": """
-- lock-timeout: 0
{1}
DROP TABLE t;
{2}
""",
    # No lock-timeout of its own: this one is tried again while the table is locked.
    "0002_column": """
-- depends: 0001_tables
{1}
ALTER TABLE t ADD COLUMN w int;
UPDATE t SET v = v + 1;
{2}
""",
    "0002_column.rollback": """
{1}
UPDATE t SET v = v - 1;
ALTER TABLE t DROP COLUMN w;
{2}
""",
    "0003_indexes": """
-- transactional: false
-- lock-timeout: 0
{1}
CREATE INDEX CONCURRENTLY t_v_idx ON t (v);
{3}
CREATE UNIQUE INDEX CONCURRENTLY t_key ON t (id, v);
{5}
""",
    "0003_indexes.rollback": """
-- transactional: false
-- lock-timeout: 0
DROP INDEX CONCURRENTLY t_key;
{2}
DROP INDEX CONCURRENTLY t_v_idx;
{4}
""",
    "0004_wrapped": """
-- lock-timeout: 0
BEGIN;
CREATE TABLE u (id serial PRIMARY KEY);
{1}
INSERT INTO u DEFAULT VALUES;
{2}
COMMIT;
""",
    "0004_wrapped.rollback": """
-- lock-timeout: 0
BEGIN;
{1}
DROP TABLE u;
COMMIT;
""",
    "0005_calls": """
-- transactional: false
-- lock-timeout: 0
VACUUM t;
DO $$ BEGIN INSERT INTO tally VALUES (5, 'apply', 2); END $$;
REINDEX INDEX CONCURRENTLY t_v_idx;
{4}
""",
    "0005_calls.rollback": """
-- lock-timeout: 0
{1}
""",
    "0006_check": """
-- lock-timeout: 0
{1}
ALTER TABLE t ADD CONSTRAINT positive CHECK (v > 0);
{2}
""",
    "0006_check.rollback": """
-- lock-timeout: 0
{1}
ALTER TABLE t DROP CONSTRAINT positive;
{2}
""",
}
TALLIED = {
    (1, "apply"): (1, 2, 3), (1, "rollback"): (1, 2), (2, "apply"): (1, 2), (2, "rollback"): (1, 2),
    (3, "apply"): (1, 3, 5), (3, "rollback"): (2, 4), (4, "apply"): (1, 2), (4, "rollback"): (1,),
    (5, "apply"): (2, 4), (5, "rollback"): (1,), (6, "apply"): (1, 2), (6, "rollback"): (1, 2),
}  # fmt: skip
# (migration, way, statement) -> the index that the statement makes or drops
INDEXES = {
    (3, "apply", 2): "t_v_idx", (3, "apply", 4): "t_key", (3, "rollback", 1): "t_key", (3, "rollback", 3): "t_v_idx",
}  # fmt: skip
LAST = 6
# Where a runner can be made to stop on the server: at a tally row, at a row of the ledger, or, for what waits for the
# table's users, by one.
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"
WRITER = "BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE"
READER = "BEGIN; LOCK TABLE t IN ACCESS SHARE MODE"
RECORDS = {
    "apply": ("INSERT _yoyo_migration", "INSERT _yoyo_log", "INSERT _pgyoyo_migration", "UPDATE _pgyoyo_migration"),
    "rollback": ("DELETE _yoyo_migration", "INSERT _yoyo_log", "DELETE _pgyoyo_migration"),
}
ALONE = {(3, "apply"): (2, 4), (3, "rollback"): (1, 3), (5, "apply"): (1, 2, 3)}  # statements that are noted twice


def _gates() -> Iterator[tuple[int, str, int, str]]:
    """(migration, way, statement, how): how is empty for a tally row, a ledger's row, or what a session does."""
    for (migration, way), statements in TALLIED.items():
        for statement in statements:
            yield migration, way, statement, ""
        if (migration, way) == (1, "apply"):
            continue  # then there is no ledger yet
        for row in RECORDS[way]:
            yield migration, way, 0, row
        if (migration, way) in ALONE:
            yield migration, way, 0, "DELETE _pgyoyo_journal"
            for statement in range(1, 1 + max((*statements, *ALONE[migration, way]))):
                yield migration, way, 0, f"INSERT _pgyoyo_journal {statement} done"
                if statement in ALONE[migration, way]:
                    yield migration, way, 0, f"INSERT _pgyoyo_journal {statement} started"
    for statement in (2, 4):
        yield 3, "apply", statement, WRITER
        yield 3, "apply", statement, SNAPSHOT
    for statement in (1, 3):
        yield 3, "rollback", statement, READER
    yield 5, "apply", 3, WRITER
    yield 5, "apply", 3, SNAPSHOT


GATES = tuple(_gates())
ENDINGS = ("released", "terminated", "left")
# What ledger and schema come apart at if anything is written in another transaction than it should: in every sample.
SHARPEST = (
    *((4, way, row, ending) for way in ("apply", "rollback") for row in RECORDS[way][:1] for ending in ENDINGS[:2]),
    (3, "apply", "INSERT _pgyoyo_journal 1 done", "terminated"),
    (3, "apply", "INSERT _pgyoyo_journal 2 done", "terminated"),
    (3, "rollback", "INSERT _pgyoyo_journal 1 done", "terminated"),
    (3, "apply", "DELETE _pgyoyo_journal", "terminated"),
    (5, "apply", "INSERT _pgyoyo_journal 2 done", "terminated"),
)


def write_migrations(folder: Path) -> Path:
    """The migrations above as files."""
    folder.mkdir(exist_ok=True)
    for name, text in WORK.items():
        written = text.lstrip()
        number, way = int(name[:4]), "rollback" if name.endswith("rollback") else "apply"
        for i in range(1, 6):
            written = written.replace(f"{{{i}}}", f"INSERT INTO tally VALUES ({number}, '{way}', {i});")
        (folder / f"{name}.sql").write_text(written)
    return folder


# --- What must be true. ---


@dataclass(frozen=True)
class State:
    """What the ledger says: numbers of applied migrations; the journal as (migration, statement) -> (way, state)."""

    applied: frozenset[int]
    journal: dict[tuple[int, int], tuple[str, str]]

    def done(self, migration: int, way: str) -> bool:
        """Whether the way was gone to its end."""
        return (migration in self.applied) == (way == "apply")


def rows(conn: psycopg.Connection, query: str) -> list[tuple]:
    return conn.execute(query.encode()).fetchall()


def read(conn: psycopg.Connection) -> tuple[State, Counter]:
    """The ledger, and how often the log says that each migration went each way; fails where its tables disagree."""
    if rows(conn, "SELECT to_regclass('_yoyo_migration')") == [(None,)]:
        return State(frozenset(), {}), Counter()
    both = "SELECT left({0}.migration_id, 4)::int, {0}.applied_at_utc FROM {0} ORDER BY 1"
    plain, ours = rows(conn, both.format("_yoyo_migration")), rows(conn, both.format("_pgyoyo_migration"))
    assert plain == ours, "yoyo's ledger and ours differ"
    assert rows(conn, "SELECT count(*) FROM _pgyoyo_migration WHERE finished_at IS NULL") == [(0,)]
    log = rows(conn, "SELECT left(migration_id, 4)::int, operation, count(*)::int FROM _yoyo_log GROUP BY 1, 2")
    journal = rows(conn, "SELECT left(migration_id, 4)::int, statement, operation, state FROM _pgyoyo_journal")
    state = State(frozenset(row[0] for row in plain), {(m, s): (way, how) for m, s, way, how in journal})
    return state, Counter({(m, way): n for m, way, n in log})


def check(conn: psycopg.Connection, before: Counter | None = None) -> State:
    """The state; fails where ledger, log, journal, data and catalog don't tell the same story.

    A statement's tally is the number of times its file was gone through, and one more if the journal has it as done.
    """
    state, log = read(conn)
    applied = state.applied
    tally = Counter({row[:3]: row[3] for row in rows(conn, "SELECT *, count(*)::int FROM tally GROUP BY 1, 2, 3")})
    for (migration, way), statements in TALLIED.items():
        for statement in statements:
            line = state.journal.get((migration, statement), ("", ""))
            extra = {0, 1} if line == (way, "started") else {int(line == (way, "done"))}
            found = tally.pop((migration, way, statement), 0)
            assert found - log[migration, way] in extra, (migration, way, statement, found, log, state)
    assert not tally
    for migration in range(1, LAST + 1):
        assert log[migration, "apply"] - log[migration, "rollback"] == (migration in applied), (migration, log, state)
    if open_ := {m for m, _ in state.journal}:
        assert len(open_) == 1
        (migration,) = open_
        (way,) = {way for way, _ in state.journal.values()}
        assert not state.done(migration, way), state
        assert [s for _, s in sorted(state.journal)] == list(range(1, len(state.journal) + 1))
        assert all(how == "done" for (_, s), (_, how) in state.journal.items() if s < len(state.journal)), state
    assert applied in {frozenset(range(1, n + 1)) for n in range(LAST + 1)}, state
    _check_catalog(conn, state)
    return state


def _check_catalog(conn: psycopg.Connection, state: State) -> None:
    tables = {name for (name,) in rows(conn, "SELECT relname FROM pg_class WHERE relname IN ('t', 'u')")}
    assert tables == {name for name, m in (("t", 1), ("u", 4)) if m in state.applied}, (tables, state)
    if "u" in tables:
        assert rows(conn, "SELECT id FROM u") == [(1,)]
    if "t" not in tables:
        return
    n, total = rows(conn, "SELECT count(*), sum(v) FROM t")[0]
    assert (n, total) == (50, 1275 + 50 * (2 in state.applied)), (n, total, state)
    columns = rows(conn, "SELECT count(*)::int FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'w'")
    assert columns == [(int(2 in state.applied),)]
    checks = rows(conn, "SELECT count(*)::int FROM pg_constraint WHERE conname = 'positive'")
    assert checks == [(int(6 in state.applied),)]
    query = (
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 't'::regclass"
    )
    indexes = dict(rows(conn, query))
    for (migration, way, statement), name in INDEXES.items():
        line = state.journal.get((migration, statement), ("", ""))
        if line[0] == way and line[1] != "done":
            continue
        if line == (way, "done"):
            assert indexes.get(name) is (True if way == "apply" else None), (name, indexes, state)
        elif not state.journal or migration not in {m for m, _ in state.journal}:
            assert indexes.get(name) is (True if migration in state.applied else None), (name, indexes, state)
    if not state.journal:
        assert all(indexes.values()), indexes
        assert {name for name in indexes if "_cc" in name} == set(), indexes


# --- Kills. ---


@dataclass(frozen=True)
class Kill:
    """Where a runner is killed: `kind` is gate, message, moment or retry; `way` is what it was doing.

    gate: (migration, statement, what holds it there, how the gate ends). message: (number, place). moment: share of the
    length of a run that is alone on the machine. retry: seconds after the first try failed. signal: as moment, and the
    signal that is sent in place of SIGKILL.
    """

    kind: str
    way: str
    where: tuple[Any, ...]


def plan_kills(number: int, seed: int, requests: dict[str, int]) -> list[Kill]:
    """So many kills: most of them at every gate with every ending, and before, in and after every message; the others at
    random moments and during retries. Of less than 1,000 a sample.
    """
    chance = random.Random(seed)
    chosen = [Kill("gate", way, (migration, 0, row, ending)) for migration, way, row, ending in SHARPEST]
    gates = [Kill("gate", way, (m, i, how, ending)) for m, way, i, how in GATES for ending in ENDINGS]
    gates = [kill for kill in gates if kill not in chosen]
    messages = [
        Kill("message", way, (n, place))
        for way in ("apply", "rollback")
        for n in range(1, requests[way] + 1)
        for place in ("before", "half", "sent", "answered")
    ]
    for group, share in ((gates, 0.35), (messages, 0.4)):
        chance.shuffle(group)
        chosen += group[: round(number * share) - (len(chosen) if group is gates else 0)]
    while len(chosen) < number:
        way = chance.choice(("apply", "rollback"))
        kind = chance.choice(("retry", "moment", "moment", "signal"))
        which = (chance.choice((signal.SIGINT, signal.SIGTERM)),) if kind == "signal" else ()
        chosen.append(Kill(kind, way, (chance.uniform(0, 1 if kind == "retry" else 3), *which)))
    chance.shuffle(chosen)
    return chosen


@dataclass
class Trial:
    """Databases on one server, and kills on them; the counters are what is printed."""

    server: str
    runners: Runners
    stack: ExitStack
    found: Counter = field(default_factory=Counter)
    resumed: int = 0
    settled: int = 0
    span: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = write_migrations(self.runners.folder / "sql")
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._templates: dict[int, str] = {}
        self._reference: dict[str, Any] = {}

    def create(self, template: str) -> str:
        """The name of a new database."""
        name = f"kill_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.server, autocommit=True) as admin:
            databases.create(admin, name, template)
        return name

    @contextmanager
    def database(self, applied: int) -> Iterator[str]:
        """The conninfo of a database in which so many migrations are applied, dropped at the end."""
        name = self.create(self.template(applied))
        try:
            yield make_conninfo(self.server, dbname=name)
        finally:
            self._drop(name)

    def template(self, applied: int) -> str:
        with self._lock:
            if not self._templates:
                self._templates[0] = self.create("template0")
                self.stack.callback(self._drop_templates)
                with psycopg.connect(make_conninfo(self.server, dbname=self._templates[0]), autocommit=True) as conn:
                    conn.execute(HARNESS.encode())
            while (last := max(self._templates)) < applied:
                name = self._templates[last + 1] = self.create(self._templates[last])
                conninfo = make_conninfo(self.server, dbname=name)
                run = self.pgyoyo(conninfo, "apply", "--to", last + 1)
                assert run.wait() == 0, run.err
                if last == 0:
                    with psycopg.connect(conninfo, autocommit=True) as conn:
                        conn.execute(LEDGER_GATES.encode())
            return self._templates[applied]

    def _drop_templates(self) -> None:
        for name in self._templates.values():
            self._drop(name)

    def _drop(self, name: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as admin:
            databases.drop(admin, name)

    def pgyoyo(self, conninfo: str, *words: object) -> Run:
        return self.runners.start(*words, "--database", conninfo, "--migrations", self.folder)

    def go(self, conninfo: str, way: str) -> Run:
        """The whole way, up or down."""
        return self.pgyoyo(conninfo, way, *(("--all", "--yes") if way == "rollback" else ()))

    def requests(self) -> dict[str, int]:
        """How many messages a whole run of each way sends; the time that it takes is kept beside."""
        found = {}
        for way, start in (("rollback", LAST), ("apply", 0)):
            numbers = [0]

            def hook(link: Link, what: str, number: int, data: bytes, numbers: list[int] = numbers) -> bytes:
                numbers.append(number)
                return data

            with self.database(start) as conninfo:
                with Proxy(conninfo, hook) as proxy:
                    began = time.monotonic()
                    run = self.go(proxy.conninfo, way)
                    assert run.wait() == 0, run.err
                    self.span[way] = time.monotonic() - began
                with psycopg.connect(conninfo, autocommit=True) as conn:
                    check(conn)
                    self._reference[way] = snapshot(conn)
            found[way] = max(numbers)
        return found

    def all(self, kills: Sequence[Kill], *, threads: int = 4) -> None:
        """Do the kills, some at once; the first failure is raised when all are through."""
        with ThreadPoolExecutor(threads) as pool:
            done = [pool.submit(self.one, kill) for kill in kills]
        failed = {kill: error for kill, future in zip(kills, done, strict=True) if (error := future.exception())}
        for kill, error in failed.items():
            raise AssertionError(f"{len(failed)} of {len(kills)} kills went wrong; the first: {kill}") from error

    def one(self, kill: Kill) -> None:
        """Kill one runner, look, run again without a kill, and look at the end of it."""
        start = self._start(kill)
        with self.database(start) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
            before, _ = read(conn)
            word = getattr(self, f"_{kill.kind}")(kill, conninfo, conn)
            alone(conn)
            state = check(conn)
            self._count(kill, word, before, state)
            self._finish(kill, conninfo, conn)

    def _start(self, kill: Kill) -> int:
        """How many migrations are applied before: all or none, or just so that the gated one comes first."""
        if kill.kind == "gate":
            return kill.where[0] - (kill.way == "apply")
        if kill.kind == "retry":
            return 1 if kill.way == "apply" else 2
        return 0 if kill.way == "apply" else LAST

    def _count(self, kill: Kill, word: str, before: State, state: State) -> None:
        if not word:
            word = NOTHING if state == before else "some migrations done" if not state.journal else "in a journal"
            if len(state.applied) == (LAST if kill.way == "apply" else 0):
                word = "all migrations done"
        elif word == "gate":
            migration = kill.where[0]
            word = "rolled back" if not state.done(migration, kill.way) else "committed by the server afterwards"
            if state.journal:
                word = "in a journal"
        with self._lock:
            self.found[kill.kind, kill.way, word] += 1
            self.resumed += bool(state.journal)

    def _finish(self, kill: Kill, conninfo: str, conn: psycopg.Connection) -> None:
        """Run again: it finishes, with nothing done twice, the whole catalog as without a kill, and no lock left."""
        run = self.go(conninfo, kill.way)
        if run.wait() == 1 and "pgyoyo settle" in run.err:
            # Only of the DO block can't be known whether it took effect. A person would look; so do we.
            did = rows(conn, "SELECT count(*) FROM tally WHERE migration = 5 AND statement = 2") == [(1,)]
            settled = self.pgyoyo(conninfo, "settle", "0005_calls", "--done" if did else "--again")
            assert settled.wait() == 0, settled.err
            with self._lock:
                self.settled += 1
            run = self.go(conninfo, kill.way)
        assert run.wait() == 0, run.err
        state = check(conn)
        assert not state.journal
        assert len(state.applied) == (LAST if kill.way == "apply" else 0), state
        assert rows(conn, "SELECT * FROM yoyo_lock") == []
        ours = rows(
            conn, "SELECT max(n)::int FROM (SELECT count(*) n FROM tally GROUP BY migration, way, statement) AS counted"
        )
        assert ours == [(1,)], "a statement was done twice"
        assert catalog.difference(self._reference[kill.way], snapshot(conn)) == []

    # Each of these starts a runner and kills it; they return "gate" where one migration's fate is to be told.

    def _moment(self, kill: Kill, conninfo: str, conn: psycopg.Connection) -> str:
        self._at_a_moment(kill, conninfo, signal.SIGKILL)
        return ""

    def _signal(self, kill: Kill, conninfo: str, conn: psycopg.Connection) -> str:
        run = self._at_a_moment(kill, conninfo, kill.where[1])
        assert "Traceback" not in run.err, run.err
        assert run.wait() in (0, 128 + kill.where[1]), run.err
        assert (run.wait() == 0) == ("interrupted" not in run.err), run.err
        if rows(conn, "SELECT to_regclass('yoyo_lock')") != [(None,)]:
            assert rows(conn, "SELECT pid FROM yoyo_lock") == []
        return ""

    def _at_a_moment(self, kill: Kill, conninfo: str, number: int) -> Run:
        connected = threading.Event()

        def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
            connected.set()
            return data

        with Proxy(conninfo, hook) as proxy:
            run = self.go(proxy.conninfo, kill.way)
            assert connected.wait(PATIENCE), run.err
            time.sleep(kill.where[0] * self.span[kill.way])
            run.kill(number)
            run.wait()
        return run

    def _message(self, kill: Kill, conninfo: str, conn: psycopg.Connection) -> str:
        chosen, place = kill.where
        ready = threading.Event()

        def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
            if number != chosen or what != ("answer" if place == "answered" else "request"):
                return data
            ready.wait(PATIENCE)
            if place == "sent":
                link.server.sendall(data)
            if place == "half":
                link.server.sendall(data[: len(data) // 2])
            run.kill()
            run.wait()
            raise Cut

        with Proxy(conninfo, hook) as proxy:
            run = self.go(proxy.conninfo, kill.way)
            ready.set()
            assert run.wait() == -9, run.err
        return ""

    def _gate(self, kill: Kill, conninfo: str, conn: psycopg.Connection) -> str:
        migration, statement, how, ending = kill.where
        with ExitStack() as stack:
            gate = stack.enter_context(psycopg.connect(conninfo, autocommit=True, application_name="gate"))
            if how.split(" ")[0] in ("INSERT", "UPDATE", "DELETE"):
                gate.execute("SELECT pg_advisory_lock(8, hashtext(%s))", [how])
                run = self.go(conninfo, kill.way)
            elif how:
                # What stands before it in the file has to get past: it is stopped at the last tally row before.
                earlier = [i for i in TALLIED[migration, kill.way] if i < statement]
                first = stack.enter_context(psycopg.connect(conninfo, autocommit=True, application_name="gate"))
                first.execute(*hold_gate(migration, kill.way, earlier[-1] if earlier else 0))
                run = self.go(conninfo, kill.way)
                if earlier:
                    blocked(conn, first, run)
                gate.execute(how)
                first.execute("SELECT pg_advisory_unlock_all()")
            else:
                gate.execute(*hold_gate(migration, kill.way, statement))
                run = self.go(conninfo, kill.way)
            blocked(conn, gate, run)
            run.kill()
            assert run.wait() == -9, run.err
            if ending == "terminated":
                terminate(conn)
            if ending != "released":
                alone(conn)
        return "gate"

    def _retry(self, kill: Kill, conninfo: str, conn: psycopg.Connection) -> str:
        with psycopg.connect(conninfo, autocommit=True, application_name="gate") as gate:
            gate.execute(READER)
            run = self.go(conninfo, kill.way)
            until(lambda: "retrying in" in run.err or not run.alive, lambda: run.err)
            time.sleep(kill.where[0])
            assert run.alive, run.err
            run.kill()
            assert run.wait() == -9, run.err
            alone(conn)
            assert not check(conn).done(2, kill.way)
        return ""


def hold_gate(migration: int, way: str, statement: int) -> tuple[str, list[int]]:
    """What a session executes so that a runner waits for it at this tally row."""
    return "SELECT pg_advisory_lock(7, %s)", [migration * 100 + statement + (50 if way == "rollback" else 0)]


def snapshot(conn: psycopg.Connection) -> Any:
    """The catalog without our gates at the ledger, which not every database has."""
    return {key: text for key, text in catalog.snapshot(conn).items() if key[0] != "trigger"}


def until(condition: Callable[[], object], explain: Callable[[], str] = str) -> None:
    """Return when the condition holds; fails after a minute."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"still not so: {explain()}"
        time.sleep(0.01)


def blocked(conn: psycopg.Connection, gate: psycopg.Connection, run: Run) -> None:
    """Return when a runner's session waits for the gate's."""
    query = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgyoyo' AND %s = ANY(pg_blocking_pids(pid))"
    until(
        lambda: conn.execute(query, [gate.info.backend_pid]).fetchone() or not run.alive,
        lambda: run.err,
    )
    assert run.alive, run.err


def alone(conn: psycopg.Connection) -> None:
    """Return when no session of a runner is left in this database."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgyoyo%'"
    )
    until(lambda: rows(conn, query) == [(0,)], lambda: "a session of a dead runner goes on")


def terminate(conn: psycopg.Connection) -> None:
    """End the runners' sessions in this database, as an administrator might."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'pgyoyo%'"
    )
    rows(conn, query)


def figures(trial: Trial) -> str:
    """What was found, for a person."""
    lines = [f"{sum(trial.found.values())} kills"]
    for kind in ("gate", "message", "moment", "retry", "signal"):
        part = {key[1:]: n for key, n in trial.found.items() if key[0] == kind}
        if part:
            name = {
                "gate": "at a statement or in a wait", "message": "at a message to or from the server",
                "moment": "at a random moment", "retry": "while it tried again for a lock",
                "signal": "by SIGINT or SIGTERM at a random moment",
            }[kind]  # fmt: skip
            lines.append(f"  {sum(part.values()):5} {name}")
            lines += [f"        {n:5} {way}: {word}" for (way, word), n in sorted(part.items())]
    lines.append(
        f"  {trial.resumed} resumed within a file, {trial.settled} settled by hand; 0 done twice, 0 left apart"
    )
    return "\n".join(lines)
