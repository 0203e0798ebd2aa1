"""What a database costs a test: the plugin's clone beside the fixture of pytest-postgresql, in one run on one server.

Run it with: python tests/benchmarks/clone.py [COUNT]
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from pgyoyo.server.in_memory import FAST
from prove import own_server, write

# In blocks, which take turns: all meet the same minutes of a busy machine, and what is made ahead costs its own block.
# pytest-postgresql clones a template too, which it loads once for each test process.
TESTS = """
from pathlib import Path

import psycopg
from pytest_postgresql import factories


def load(**facts):
    facts = {{name: facts[name] for name in ("host", "port", "user", "dbname")}}
    with psycopg.connect(**facts) as conn:
        for path in sorted(Path({folder!r}).glob("*.sql")):
            if "rollback" not in path.name:
                conn.execute(path.read_bytes())


theirs = factories.postgresql_noproc(load=[load])
postgresql = factories.postgresql("theirs")
"""


BLOCK = 10  # tests; the first two of each are left out: they make a template, or find what the block before made ahead
WHOLE = """
import time
from pathlib import Path

import pytest

STARTED = []


def pytest_runtest_setup(item):
    STARTED.append(time.monotonic())


def pytest_unconfigure():
    STARTED.append(time.monotonic())
    Path(__file__).with_name("times").write_text("\\n".join(str(b - a) for a, b in zip(STARTED, STARTED[1:])))
"""
FIXTURES = {"pgyoyo": "migrated_db", "pytest-postgresql": "postgresql", "transaction": "migrated_transaction"}


def main(count: int) -> None:
    for durable in (False, True):
        with own_server(None if durable else FAST, memory=not durable) as server:
            times = measured(server.conninfo("postgres"), count)
        print("on a disk, with fsync:" if durable else "in memory, without fsync:")
        theirs = statistics.median(times["pytest-postgresql"])
        for name, each in times.items():
            median = statistics.median(each)
            print(f"  {name}: {median * 1000:.1f} ms at the median, {median / theirs:.2f} of pytest-postgresql's")


def measured(conninfo: str, count: int) -> dict[str, list[float]]:
    """Seconds from the start of a test to that of the next one, by fixture."""
    with tempfile.TemporaryDirectory(prefix="pgyoyo-benchmark-") as made:
        home = Path(made)
        (home / "sql").mkdir()
        write(home / "sql", 100)
        facts = conninfo_to_dict(conninfo)
        tests = [
            f"\n\ndef test_{block}_{n}_{f}({f}):\n    {f}.execute('SELECT FROM t0')\n"
            for block in range(-(-count // (BLOCK - 3)))
            for f in FIXTURES.values()
            for n in range(BLOCK)
        ]
        (home / "test_it.py").write_text(TESTS.format(folder=str(home / "sql")) + "".join(tests))
        named = "".join(f"postgresql_{name} = {facts[name]}\n" for name in ("host", "port", "user"))
        (home / "pytest.ini").write_text(f"[pytest]\npgyoyo_migrations = sql\n{named}")
        (home / "conftest.py").write_text(WHOLE)
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(words, cwd=home, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        times = [float(line) for line in (home / "times").read_text().split()]
    blocks = [
        times[at + 2 : at + BLOCK - 1] for at in range(0, len(times), BLOCK)
    ]  # the last one ends with another's start
    return {name: [time for block in blocks[at :: len(FIXTURES)] for time in block] for at, name in enumerate(FIXTURES)}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
