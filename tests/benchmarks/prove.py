"""How long proving 300 migrations takes, and what a clone would cost in the place of undoing.

Run it with: python tests/benchmarks/prove.py [COUNT] [--durable]

It takes a server like the one for scratch databases of `pgyoyo prove`, with --durable one that writes to the disk.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.prove.parallel import prove
from pgyoyo.prove.proof import proof_summary
from pgyoyo.scratch import databases, rights
from pgyoyo.server import scratch_server

sys.path.append(str(Path(__file__).parents[1]))

from own_server import own_server


@contextmanager
def scratch(*, durable: bool) -> Iterator[Connection]:
    """A session as commands have it on the project's server for scratch databases, or on one that writes to the disk."""
    with (
        own_server(None if durable else scratch_server.SETTINGS, memory=not durable) as server,
        databases.server(rights.on_own_server(server.conninfo("postgres"))) as admin,
    ):
        yield admin


def arguments(words: str | None) -> argparse.Namespace:
    """The number of migrations, and whether the server is durable."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("count", type=int, nargs="?", default=300)
    parser.add_argument("--durable", action="store_true", help="on a server that writes to the disk")
    return parser.parse_args()


def write(folder: Path, count: int) -> None:
    """A table, a column, an index, a check, a view, in turns; each table links to the one before; every tenth is wrong."""
    for n in range(count):
        table, before = f"t{n // 5}", f"t{n // 5 - 1}"
        link = f", parent integer REFERENCES {before} (id)" if n >= 5 else ""
        columns = (
            "id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now()"
        )
        up, down = [
            (f"CREATE TABLE {table} ({columns}, price numeric(8,2) CHECK (price > 1){link});", f"DROP TABLE {table};"),
            (f"ALTER TABLE {table} ADD COLUMN note varchar(20);", f"ALTER TABLE {table} DROP COLUMN note;"),
            (f"CREATE INDEX {table}_name_idx ON {table} (name);", f"DROP INDEX {table}_name_idx;"),
            (
                f"ALTER TABLE {table} ADD CHECK (name <> '');",
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_name_check;",
            ),
            (f"CREATE VIEW v{table} AS SELECT id, name FROM {table};", f"DROP VIEW v{table};"),
        ][n % 5]
        name = f"{n:04}_step"
        (folder / f"{name}.sql").write_text(up)
        (folder / f"{name}.rollback.sql").write_text("SELECT 'nothing';" if n % 10 == 7 else down)


def main(count: int, *, durable: bool) -> None:
    with scratch(durable=durable) as admin, tempfile.TemporaryDirectory(prefix="pgyoyo-benchmark-") as made:
        folder = Path(made) / "sql"
        folder.mkdir()
        write(folder, count)
        started = time.monotonic()
        proofs = list(prove(admin, reader.read([str(folder)]), Console(quiet=True), alone=False))
        taken = time.monotonic() - started
        good = sorted(proof.duration for proof in proofs if not proof.failures)
        bad = sorted(proof.duration for proof in proofs if proof.failures) or [0.0]
        print(f"{count} migrations in {taken:.1f} s: {proof_summary(proofs)}")
        print(f"median of a right one {good[len(good) // 2]:.0f} ms, of a wrong one {bad[len(bad) // 2]:.0f} ms")
        with databases.database(admin) as first:
            started = time.monotonic()
            for _ in range(10):
                with databases.database(admin, template=conninfo_to_dict(first)["dbname"]):
                    pass
            print(f"an empty clone, made and dropped: {(time.monotonic() - started) * 100:.0f} ms")


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.count, durable=given.durable)
