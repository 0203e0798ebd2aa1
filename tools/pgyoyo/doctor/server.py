"""The embedded server, and whether scratch databases can have the extensions that migrations need."""

from collections.abc import Iterator, Sequence

from pgyoyo.doctor.line import Line
from pgyoyo.errors import ServerError
from pgyoyo.extensions import ways_out
from pgyoyo.server import installs
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.units import several


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
            "; or ".join(ways_out("DATABASE_URL" if is_target else "--scratch URL", missing)),
        )  # fmt: skip
