"""How long a review of 300 small migrations takes, and how its cost grows with the statements.

Run it with: python tests/benchmarks/review.py [COUNT] [--durable]

It takes a server like the one for scratch databases of `pgyoyo review`, with --durable one that writes to the disk.
"""

import tempfile
import time
from pathlib import Path

from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.review.review import Chain, review
from prove import arguments, scratch, write


def taken(admin: Connection, folder: Path) -> tuple[float, int]:
    """Seconds that a review of a folder takes, and the number of its statements."""
    order = reader.read([str(folder)]).migrations
    started = time.monotonic()
    found = review(admin, Chain(order, range(len(order))), Console(), alone=False)
    return time.monotonic() - started, sum(len(sheet.statements) for sheet in found.sheets)


def main(count: int, *, durable: bool) -> None:
    with scratch(durable=durable) as admin, tempfile.TemporaryDirectory(prefix="pgyoyo-benchmark-") as made:
        home = Path(made)
        for number in (count // 4, count // 2, count):
            folder = home / f"sql{number}"
            folder.mkdir()
            write(folder, number)
            seconds, _ = taken(admin, folder)
            print(f"{number} migrations of one statement: {seconds:.1f} s, {seconds / number * 1000:.0f} ms each")
        for number in (count, 4 * count, 16 * count):
            folder = home / f"rows{number}"
            folder.mkdir()
            rows = "".join(f"INSERT INTO t VALUES ({n});\n" for n in range(number))
            (folder / "0001_t.sql").write_text("CREATE TABLE t (n integer);\n")
            (folder / "0001_t.rollback.sql").write_text("-- lossy: all\nDROP TABLE t;\n")
            (folder / "0002_rows.sql").write_text(rows)
            (folder / "0002_rows.rollback.sql").write_text("-- lossy: old rows too\nTRUNCATE t;\n")
            seconds, statements = taken(admin, folder)
            print(f"one file of {number} statements: {seconds:.1f} s, {seconds / statements * 1000:.1f} ms a statement")


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.count, durable=given.durable)
