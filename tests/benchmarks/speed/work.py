"""What every tool is given to do: the same migrations, whatever its own way to write them down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DIGITS = "0123456789" * 10


@dataclass(frozen=True)
class Migration:
    """One change and its way back."""

    name: str
    up: str
    down: str


def small(count: int) -> list[Migration]:
    """Migrations of two statements, in turns: a table, a column or an index with its comment, and some rows."""
    return [Migration(f"{n + 1:04}_step", *_step(n)) for n in range(count)]


def _step(n: int) -> tuple[str, str]:
    table = f"t{n // 4}"
    match n % 4:
        case 0:
            columns = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    name text NOT NULL,\n    at timestamptz"
            up = f"CREATE TABLE {table} (\n    {columns}\n);\nCOMMENT ON TABLE {table} IS 'What step {n} made';"
            return up, f"DROP TABLE {table};"
        case 1:
            up = f"ALTER TABLE {table} ADD COLUMN note varchar(20);\nCOMMENT ON COLUMN {table}.note IS 'For a person';"
            return up, f"ALTER TABLE {table} DROP COLUMN note;"
        case 2:
            index = f"{table}_name_idx"
            up = f"CREATE INDEX {index} ON {table} (name);\nCOMMENT ON INDEX {index} IS 'For the search';"
            return up, f"DROP INDEX {index};"
        case _:
            rows = f"INSERT INTO {table} (name) VALUES ('a'), ('b');\nUPDATE {table} SET note = name WHERE name = 'a';"
            return rows, f"DELETE FROM {table};"


def one_big_file(size: int) -> list[Migration]:
    """One migration of `size` bytes: the rows of a table with a primary key, a hundred to an INSERT."""
    parts = ["CREATE TABLE big (id integer PRIMARY KEY, name text NOT NULL, price numeric(8,2), at timestamptz);\n"]
    number = written = 0
    while written < size:
        rows = (
            f"({n}, 'the item number {n}', {n % 1000}.95, '2026-01-01 12:00:00+00')"
            for n in range(number, number + 100)
        )
        parts.append("INSERT INTO big (id, name, price, at) VALUES\n    " + ",\n    ".join(rows) + ";\n")
        number, written = number + 100, written + len(parts[-1])
    return [Migration("0001_big", "".join(parts), "DROP TABLE big;")]


def many_statements(count: int) -> list[Migration]:
    """One migration of `count` short statements."""
    inserts = "".join(f"INSERT INTO many VALUES ({n}, 'row number {n}');\n" for n in range(count - 1))
    return [Migration("0001_many", "CREATE TABLE many (n integer, name text);\n" + inserts, "DROP TABLE many;")]


def copy_data(size: int) -> Iterator[str]:
    """A migration whose COPY has `size` bytes of data, in pieces: for psql and pgyoyo, which alone take it."""
    yield "CREATE TABLE copied (n integer, filler text);\nCOPY copied FROM stdin;\n"
    piece = "".join(f"{n}\t{DIGITS}{DIGITS}\n" for n in range(5000))
    for _ in range(size // len(piece)):
        yield piece
    yield "\\.\n"


def write_copy(path: Path, size: int) -> None:
    with path.open("w") as file:
        file.writelines(copy_data(size))
