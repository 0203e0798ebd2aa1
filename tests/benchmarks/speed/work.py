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
    """Migrations as teams write them, in turns: a table, a column, an index, some rows; one or two statements each."""
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
            return f"CREATE INDEX {table}_name_idx ON {table} (name);", f"DROP INDEX {table}_name_idx;"
        case _:
            return f"INSERT INTO {table} (name) VALUES ('a'), ('b'), ('c');", f"DELETE FROM {table};"


def one_big_file(size: int) -> list[Migration]:
    """One migration of `size` bytes: INSERTs of a hundred rows each."""
    rows = ",\n".join(f"    ({n}, '{DIGITS}')" for n in range(100))
    insert = f"INSERT INTO big VALUES\n{rows};\n"
    up = "CREATE TABLE big (n integer, filler text);\n" + insert * (size // len(insert))
    return [Migration("0001_big", up, "DROP TABLE big;")]


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
