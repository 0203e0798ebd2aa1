"""How long proving 300 migrations takes, and what a clone would cost in the place of undoing.

Run it with: python tests/benchmarks/prove.py [COUNT]
"""

import sys
import tempfile
import time
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.prove.proof import proof_summary
from pgyoyo.prove.prover import prove
from pgyoyo.scratch import databases

sys.path.append(str(Path(__file__).parents[1]))

from own_server import own_server


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


def main(count: int) -> None:
    with own_server() as server, tempfile.TemporaryDirectory(prefix="pgyoyo-benchmark-") as made:
        home = Path(made)
        (home / "sql").mkdir()
        write(home / "sql", count)
        with databases.server(server.conninfo("postgres")) as admin:
            started = time.monotonic()
            proofs = list(prove(admin, reader.read([str(home / "sql")]), Console(quiet=True)))
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
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
