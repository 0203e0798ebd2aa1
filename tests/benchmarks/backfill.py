"""What a live table notices of a backfill: the naive file, ALTER and UPDATE apart, and ours, under the same load.

    python tests/benchmarks/backfill.py [ROWS] [--picture PATH] [--only NAME…]
    python tests/benchmarks/backfill.py [ROWS] --kind delete|insert
    python tests/benchmarks/backfill.py [ROWS] --also MORE [--only NAME…] [--kind delete|insert]
    python tests/benchmarks/backfill.py [ROWS] [--kind delete|insert] --kills 50 [--target 5ms] [--pause 300%]

The second form deletes half of the rows, or copies them into a new table that clients write to as well, as one statement and
in batches. The third does the same with more rows, and compares the times. The last lines of each are those to keep. The
fourth kills runners of ours at random under that load, and looks at every row in the end; short batches with pauses let a
fast statement on few rows last until the kill.

On an embedded PostgreSQL of its own (PGYOYO_TEST_POSTGRES says which; TMPDIR where), or on the server of DATABASE_URL,
where it makes and drops databases named backfill_*.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import waits
from psycopg.conninfo import make_conninfo

sys.path.append(str(Path(__file__).parents[1]))

from own_server import superuser
from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.migrator import Migrator

MIGRATIONS = Path(__file__).parents[2] / "sql" / "migrations"
ALTER, UPDATE = "0004_add_total_budget", "0005_backfill_total_budget"
# name -> what it is, how 0005 says it, whether 0004 runs in the same transaction
RUNS = {
    "naive": ("ALTER and UPDATE in one transaction", "", True),
    "apart": ("ALTER, then one UPDATE", "", False),
    "batched": ("ALTER, then pgyoyo's batches", "-- backfill: batched", False),
    "skipping": ("the same, triggers skipped", "-- backfill: batched, triggers skip", False),
}
READ = "SELECT * FROM cj_batch_states WHERE batch_id = %s"


@dataclass(frozen=True)
class Kind:
    """What is done to the rows: `setup` comes before, `file` is the migration that does it, {directive} its header.

    `write` is what a client does to a row. `wrong` gives what WRONG gives.
    """

    setup: str
    file: str
    write: str
    wrong: str
    table: str = "cj_batch_states"


WRITE = "UPDATE cj_batch_states SET completed_comparisons = completed_comparisons + 1 WHERE batch_id = %s"
KINDS = {
    "delete": Kind(
        "SELECT 1",
        "{directive}\nDELETE FROM cj_batch_states WHERE batch_id % 2 = 0;\n",
        WRITE,
        "SELECT count(*) FILTER (WHERE batch_id % 2 = 0) + abs(%(rows)s - 2 * count(*) FILTER (WHERE batch_id % 2 = 1)), 0, "
        "sum(completed_comparisons) FROM cj_batch_states",
    ),
    "insert": Kind(
        "CREATE TABLE copied (batch_id int PRIMARY KEY, total int NOT NULL, seen int NOT NULL DEFAULT 0)",
        "{directive}\nINSERT INTO copied (batch_id, total) SELECT batch_id, total_comparisons FROM cj_batch_states "
        "ON CONFLICT DO NOTHING;\n",
        "INSERT INTO copied SELECT batch_id, total_comparisons, 1 FROM cj_batch_states WHERE batch_id = %s "
        "ON CONFLICT (batch_id) DO UPDATE SET seen = copied.seen + 1",
        "SELECT count(*) FILTER (WHERE c.batch_id IS NULL OR s.batch_id IS NULL OR c.total <> s.total_comparisons), 0, "
        "sum(c.seen) FROM copied c FULL JOIN cj_batch_states s USING (batch_id)",
        table="copied",
    ),
}
CLIENTS = 4
THINK = 0.01
# Seconds of load before and after.
MARGIN = 0.5
FILL = """
INSERT INTO cj_batch_uploads (bos_batch_id, event_correlation_id, language, course_code, expected_essay_count)
SELECT 'b' || i, 'c' || i, 'sv', 'ENG5', 30 FROM generate_series(1, %(rows)s) i;
INSERT INTO cj_batch_states (batch_id, state, total_comparisons, submitted_comparisons, processing_metadata)
SELECT i, (ARRAY['WAITING_CALLBACKS', 'COMPLETED', 'SCORING'])[1 + i %% 3]::cj_batch_state_enum, i %% 500, i %% 400,
       '{"a": 1, "round": 2}'
FROM generate_series(1, %(rows)s) i
"""
SIZES = """
SELECT greatest(pg_relation_size(%(table)s), 1), greatest(pg_indexes_size(%(table)s), 1),
       (pg_current_wal_lsn() - '0/0')::float8
"""
# Rows without a budget or with a wrong one; rows that no client wrote, but that show activity; writes of the clients.
WRONG = """
SELECT count(*) FILTER (WHERE total_budget IS DISTINCT FROM total_comparisons),
       count(*) FILTER (WHERE completed_comparisons = 0 AND last_activity_at <> %(loaded)s),
       sum(completed_comparisons)
FROM cj_batch_states
"""


@dataclass
class Run:
    """One way of doing it; seconds and bytes. `waits` are (kind, at, seconds), at 0 where the migration begins."""

    name: str
    seconds: float
    heap: float
    indexes: float
    wal: float
    account: list[str]
    waits: list[tuple[str, float, float]] = field(repr=False)
    wrong: int = 0
    touched: int = 0
    lost: int = 0

    def wait(self, kind: str, share: float = 1.0) -> float:
        """The longest wait of a kind (read, write), or the one that `share` of them did not exceed."""
        found = sorted(seconds for one, _, seconds in self.waits if one.startswith(kind))
        return found[min(len(found) - 1, int(len(found) * share))] if found else 0.0


@dataclass
class Kills:
    """What the killing came to; `misses` are runners that were through before their kill, `longest` a wait in seconds."""

    hits: int = 0
    misses: int = 0
    copies: int = 0
    wrong: int = 0
    touched: int = 0
    lost: int = 0
    longest: float = 0.0


def client(conninfo: str, rows: int, seed: int, kind: str) -> None:
    """Read a row, write a row, think, until stdin ends; then print what was waited for."""
    chance, found = random.Random(seed), []
    # A statement prepared before the ALTER would fail after it.
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as conn:
        while not select.select([sys.stdin], [], [], 0)[0]:
            work = KINDS.get(kind)
            for kind_of_wait, query in (("read", READ), ("write", work.write if work else WRITE)):
                started, row = time.time(), chance.randint(1, rows)
                conn.execute(query, [row])
                # What was written to a row that is deleted can't be counted afterwards.
                gone = " gone" if kind == "delete" and kind_of_wait == "write" and row % 2 == 0 else ""
                found.append((kind_of_wait + gone, started, time.time() - started))
            if len(found) == 2:
                print("ready", flush=True)
            time.sleep(THINK)
    json.dump(found, sys.stdout)


@contextmanager
def load(conninfo: str, rows: int, kind: str) -> Iterator[list[list[tuple[str, float, float]]]]:
    """The clients at work; what they waited for is in the list afterwards."""
    command = [sys.executable, __file__, "--client", conninfo, str(rows)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    clients = [subprocess.Popen([*command, str(seed), kind], **pipes) for seed in range(CLIENTS)]
    found: list[list[tuple[str, float, float]]] = []
    try:
        for one in clients:
            assert one.stdout
            one.stdout.readline()
        time.sleep(MARGIN)
        yield found
        time.sleep(MARGIN)
    finally:
        for one in clients:
            out, _ = one.communicate()
            found.append([tuple(wait) for wait in json.loads(out or "[]")])


class Bench:
    """A table of so many rows, once for each way to fill its new column."""

    def __init__(self, admin: str, rows: int, kind: str = "update") -> None:
        self.admin, self.rows, self.kind = admin, rows, kind
        self.work = KINDS.get(kind)
        self.table = self.work.table if self.work else "cj_batch_states"
        self.base = f"backfill_{os.getpid()}_base"
        self.folder = Path(tempfile.mkdtemp(prefix="pgyoyo-backfill-"))

    def __enter__(self) -> "Bench":
        self._sql(f"CREATE DATABASE {self.base}")
        self.migrate(self.base, "", target="0003")
        with self.connect(self.base) as conn:
            for statement in FILL.split(";"):
                conn.execute(statement, {"rows": self.rows})
            conn.execute(self.work.setup if self.work else "SELECT 1")
            conn.execute("VACUUM (FREEZE, ANALYZE)")
            [[self.loaded]] = conn.execute("SELECT min(last_activity_at) FROM cj_batch_states").fetchall()
        return self

    def __exit__(self, *_: object) -> None:
        self._sql(f"DROP DATABASE IF EXISTS {self.base} WITH (FORCE)")
        shutil.rmtree(self.folder)

    def run(self, name: str) -> Run:
        """Do it one way on a fresh copy, under load."""
        _, directive, together = RUNS[name]
        database = f"{self.base}_{name}"
        self._sql(f"CREATE DATABASE {database} TEMPLATE {self.base}", "CHECKPOINT")
        try:
            if not together and not self.work:
                self.migrate(database, directive, target=ALTER)
            with self.connect(database) as conn:
                [before] = conn.execute(SIZES, {"table": self.table}).fetchall()
                with load(make_conninfo(self.admin, dbname=database), self.rows, self.kind) as clients:
                    at, started = time.time(), time.monotonic()
                    account = self.migrate(database, directive, single=together and not self.work)
                    seconds = time.monotonic() - started
                [after] = conn.execute(SIZES, {"table": self.table}).fetchall()
                wrong, touched, written = self._wrong(conn)
            found = [(kind, begun - at, taken) for one in clients for kind, begun, taken in one]
            heap, indexes = (after[i] / before[i] for i in (0, 1))
            done = sum(kind == "write" for kind, _, _ in found)
            return Run(
                name, seconds, heap, indexes, after[2] - before[2], account, found, wrong, touched, done - written
            )
        finally:
            self._sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def kill(self, count: int, seed: int, target: str, pause: str) -> "Kills":
        """Kill so many runners (kill -9) inside of their backfill, at random, each time a copy is done on the next one.

        `target` and `pause` are how long their batches take, and how long they pause after each.
        """
        chance, found = random.Random(seed), Kills()
        while found.hits < count:
            found.copies += 1
            database = f"{self.base}_kills"
            self._sql(f"CREATE DATABASE {database} TEMPLATE {self.base}")
            try:
                self.migrate(database, f"-- backfill: batched, target {target}", target="0003" if self.work else ALTER)
                with load(make_conninfo(self.admin, dbname=database), self.rows, self.kind) as clients:
                    while found.hits < count and self._kill_one(database, chance, pause):
                        found.hits += 1
                    found.misses += found.hits < count
                    ended = self._runner(database, "0%").wait()
                with self.connect(database) as conn:
                    wrong, touched, written = self._wrong(conn)
                    assert ended == 0, ended
                    assert conn.execute("SELECT count(*) FROM _pgyoyo_backfill").fetchall() == [(0,)]
                waits = [wait for one in clients for wait in one]
                found.wrong, found.touched = found.wrong + wrong, found.touched + touched
                found.lost += sum(kind == "write" for kind, _, _ in waits) - written
                found.longest = max(found.longest, *(taken for _, _, taken in waits))
            finally:
                self._sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        return found

    def _wrong(self, conn: psycopg.Connection) -> tuple[int, int, int]:
        """Rows that are wrong, rows with activity that nobody made, writes that are there."""
        query = self.work.wrong.replace("% 2", "%% 2") if self.work else WRONG
        [(wrong, touched, written)] = conn.execute(query, {"loaded": self.loaded, "rows": self.rows}).fetchall()
        return wrong, touched, written or 0

    def _kill_one(self, database: str, chance: random.Random, pause: str) -> bool:
        """Kill a runner a random while after its backfill began; False if it was through with that already."""
        with self.connect(database) as conn:

            def session() -> int | None:
                """The session of an unfinished backfill, if it is there."""
                row = conn.execute("SELECT pid FROM _pgyoyo_backfill JOIN pg_stat_activity USING (pid)").fetchone()
                return row[0] if row else None

            before = session()  # the last one's may still be about to end
            runner = self._runner(database, pause)
            while runner.poll() is None and session() in (None, before):
                time.sleep(0.005)
            time.sleep(chance.random())
            # Held, so that what is seen is what is hit.
            runner.send_signal(signal.SIGSTOP)
            hit = runner.poll() is None and session() not in (None, before)
            runner.kill()
            runner.wait()
            return hit

    def _runner(self, database: str, pause: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "pgyoyo", "apply", "--quiet", "--migrations", str(self.folder / "sql")]
        command += ["--pause", pause]
        return subprocess.Popen([*command, "--database", make_conninfo(self.admin, dbname=database)])

    def migrate(self, database: str, directive: str, *, target: str | None = None, single: bool = False) -> list[str]:
        """Apply the migrations, 0005 with this directive; what was printed."""
        folder = self.folder / "sql"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(MIGRATIONS, folder)
        file = folder / f"{UPDATE}.sql"
        if self.work:
            for later in sorted(folder.glob("*.sql")):
                if later.name >= ALTER:
                    later.unlink()
            (folder / "0004_work.sql").write_text(self.work.file.format(directive=directive))
        else:
            file.write_text(file.read_text().replace("-- backfill: batched", directive))
        report = Lines()
        with closing(self.connect(database)) as conn:
            Migrator(conn, reader.read([str(folder)]), report, single=single).apply(target=target)
        return report.lines

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.admin, dbname=database, autocommit=True)

    def _sql(self, *statements: str) -> None:
        with self.connect("postgres") as conn:
            for statement in statements:
                conn.execute(statement)


class Lines(Console):
    """Keeps the results."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def result(self, text: str, **_: object) -> None:
        self.lines.append(text)

    def note(self, text: str) -> None:
        print(f"    {text}", file=sys.stderr)

    def backfill(self, *_: object) -> None:
        pass


def table(rows: int, runs: Sequence[Run], kind: str = "update") -> str:
    """The figures side by side, and as ratios to the single UPDATE."""
    lines = [f"{kind}: {rows:,} rows of cj_batch_states, {CLIENTS} clients reading and writing single rows", ""]
    lines.append(f"{'':38}{'total':>8}{'reads p99/max':>20}{'writes p99/max':>20}{'WAL':>9}{'table':>8}{'indexes':>9}")
    for run in runs:
        reads, writes = (
            f"{run.wait(kind, 0.99) * 1000:,.0f}/{run.wait(kind) * 1000:,.0f} ms" for kind in ("read", "write")
        )
        title = RUNS[run.name][0] if kind == "update" else run.name
        lines.append(
            f"{title:38}{run.seconds:>6.1f} s{reads:>20}{writes:>20}{run.wal / 1e6:>6,.0f} MB"
            f"{run.heap:>7.2f}x{run.indexes:>8.2f}x"
        )
    known = {run.name: run for run in runs}
    alone = "apart" if kind == "update" else "naive"
    if alone in known and "naive" in known:
        one, stalled = known[alone], max(known["naive"].wait("read"), known["naive"].wait("write"))
        for name in ("batched", "skipping"):
            if run := known.get(name):
                wait = max(run.wait("read"), run.wait("write"))
                lines.append(
                    f"{name}: {run.seconds / one.seconds:.2f} x the single statement's time, "
                    f"{run.wal / one.wal:.2f} x its WAL; "
                    f"longest wait 1/{stalled / wait:.0f} of naive's"
                )
    for run in runs:
        faults = {"wrong": run.wrong, "activity of rows nobody touched": run.touched, "lost writes": run.lost}
        lines += [f"{run.name}: {count} {what}" for what, count in faults.items() if count]
        lines += [
            f"    {line.strip()}" for line in run.account if run.name in ("batched", "skipping") and "batches" in line
        ]
    return "\n".join(lines)


def notes(rows: int, runs: Sequence[Run], kind: str) -> list[str]:
    """A line for each way in batches: what it came to beside the single statement; rows of a Markdown table."""
    known = {run.name: run for run in runs}
    single, naive = known.get("apart" if kind == "update" else "naive"), known.get("naive")
    lines = []
    for run in (known[name] for name in ("batched", "skipping") if name in known):
        wait = max(run.wait("read"), run.wait("write"))
        parts = [f"{kind}, {rows:,} rows, {run.name}", f"{run.seconds:.1f} s"]
        if single:
            parts += [f"total {run.seconds / single.seconds:.2f} x", f"WAL {run.wal / single.wal:.2f} x"]
        if naive:
            stalled = max(naive.wait("read"), naive.wait("write"))
            parts.append(f"longest wait 1/{stalled / wait:.0f} ({wait * 1000:.0f} ms of {stalled:.2f} s)")
        alone = max((taken for _, begun, taken in run.waits if begun + taken < 0), default=0.0)
        parts += [f"clients alone {alone * 1000:.0f} ms", f"table {run.heap:.2f} x", f"indexes {run.indexes:.2f} x"]
        faults = f"{run.wrong} wrong, {run.touched} touched, {run.lost} lost"
        lines.append(f"| {' | '.join(parts)} | {faults} | load {os.getloadavg()[0]:.1f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill a new column of a live table, in several ways.")
    parser.add_argument("rows", nargs="?", type=int, default=2_000_000)
    parser.add_argument(
        "--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME", help="of " + ", ".join(RUNS)
    )
    parser.add_argument("--kind", choices=["update", *KINDS], default="update", help="what is done to the rows")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw the waits there, as SVG")
    parser.add_argument(
        "--also", type=int, metavar="MORE", help="then the same with so many rows, and how much longer it takes"
    )
    parser.add_argument("--kills", type=int, metavar="N", help="kill so many runners instead")
    parser.add_argument("--target", metavar="TIME", help="of a runner's batch that is to be killed; 5ms for a DELETE")
    parser.add_argument("--pause", metavar="PERCENT", help="after each of these; 300%% for a DELETE")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, metavar="N")
    chosen = parser.parse_args()
    sizes = [chosen.rows, *([chosen.also] if chosen.also else ())]
    ways = chosen.only if chosen.kind == "update" else ("naive", "batched")
    kept, seconds = list[str](), dict[tuple[str, int], float]()
    with superuser({"shared_buffers": "1GB", "max_wal_size": "8GB"}) as admin:
        for rows in sizes:
            with Bench(admin, rows, chosen.kind) as bench:
                if chosen.kills:
                    fast = chosen.kind == "delete"
                    target, pause = (
                        chosen.target or ("5ms" if fast else "50ms"),
                        chosen.pause or ("300%" if fast else "10%"),
                    )
                    sys.exit(killed(bench, chosen.kills, chosen.seed, target, pause))
                runs = []
                for name in ways:
                    runs.append(bench.run(name))
                    seconds[name, rows] = runs[-1].seconds
                    print(f"{name}: {runs[-1].seconds:.1f} s", file=sys.stderr, flush=True)
            print(table(rows, runs, chosen.kind), end="\n\n", flush=True)
            kept += notes(rows, runs, chosen.kind)
            if chosen.picture:
                known = {run.name: (run.seconds, run.waits) for run in runs if run.name in waits.TITLES}
                chosen.picture.write_text(waits.svg(rows, known))
    for name in ways if chosen.also else ():
        few, many = (seconds[name, rows] for rows in sizes)
        kept.append(f"| {chosen.kind}, {name} | {sizes[1]:,} rows take {many / few:.2f} x the time of {sizes[0]:,} |")
    print("\n".join(kept))


def killed(bench: Bench, count: int, seed: int, target: str, pause: str) -> bool:
    """Kill so many runners, and print what came of it; whether anything is wrong."""
    found = bench.kill(count, seed, target, pause)
    faults = f"{found.wrong} rows wrong, {found.touched} with activity that nobody made, {found.lost} writes lost"
    print(f"{bench.kind}, --seed {seed}: {found.hits} runners killed inside of a backfill "
          f"({found.misses} more had ended it before) on {found.copies} copies of {bench.rows:,} rows: {faults}; "
          f"longest wait {found.longest * 1000:.0f} ms")  # fmt: skip
    return bool(found.wrong or found.touched or found.lost)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        main()
