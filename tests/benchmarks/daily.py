"""One new migration on a long history: review, prove and schema --check beside psql, which runs the same files.

Run it with: python tests/benchmarks/daily.py [COUNT]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prove import own_server, write

PGYOYO = Path(sys.executable).with_name("pgyoyo")


def seconds(command: Sequence[str | Path]) -> float:
    """How long a command takes; what it finds does not matter, an error of its own ends the benchmark."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
    started = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return time.monotonic() - started


def main(count: int) -> None:
    with own_server(memory=True) as server, tempfile.TemporaryDirectory(prefix="pgyoyo-benchmark-") as made:
        folder = Path(made) / "sql"
        folder.mkdir()
        write(folder, count)
        last = f"{count:04}_last"
        (folder / f"{last}.sql").write_text("ALTER TABLE t0 ADD COLUMN extra integer;")
        (folder / f"{last}.rollback.sql").write_text("-- lossy: extra\nALTER TABLE t0 DROP COLUMN extra;")
        psql, admin = str(server.binary("psql")), server.conninfo("postgres")
        for name in ("by_psql", "each_by_psql", "applied"):
            seconds([psql, admin, "-c", f"CREATE DATABASE {name}"])
        files = sorted(path for path in folder.glob("*.sql") if "rollback" not in path.name)
        once = seconds(
            [psql, server.conninfo("by_psql"), "-q", *(word for path in files for word in ("-f", str(path)))]
        )
        each = sum(seconds([psql, server.conninfo("each_by_psql"), "-qf", path]) for path in files)
        print(f"psql, one process for {len(files)} files: {once:.2f} s; one for each: {each:.2f} s")
        here = ["--scratch", admin, "--migrations", folder]
        applied = seconds([PGYOYO, "apply", "--database", server.conninfo("applied"), "--migrations", folder])
        print(f"apply: {applied:.2f} s, {applied / each:.2f} of a psql for each")
        for command in (["review", last], ["review", last], ["prove", last], ["schema", "--output", made],
                        ["schema", "--output", made, "--check"]):  # fmt: skip
            taken = seconds([PGYOYO, *command, *here])
            ratios = f"{taken / each:.2f} of a psql for each, {taken / applied:.1f} of apply"
            print(f"{' '.join(command[:2])}: {taken:.2f} s, {ratios}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
