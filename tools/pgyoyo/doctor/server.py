"""The embedded server, and whether scratch databases can have the extensions that migrations need."""

from collections.abc import Iterator, Sequence

from pgyoyo.doctor.line import Line
from pgyoyo.errors import ServerError
from pgyoyo.extensions import ways_out
from pgyoyo.server import installs
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.units import several


def embedded_lines(
    server: EmbeddedServer, scratch: EmbeddedServer, needed: Sequence[str], *, is_target: bool
) -> Iterator[Line]:
    """Whether the embedded server and that for scratch databases run, and the extensions that they lack; starts nothing."""
    try:
        available = installs.extensions(server.binary("postgres").parent, server.version)
        states = [_state(each) for each in (server, scratch)]
    except ServerError as error:
        yield Line(
            "fault" if is_target else "note",
            "server",
            f"for scratch databases (verify, prove, review): {error}",
            "or name one: --scratch URL",
        )
        return
    yield Line("ok", "server", f"the embedded PostgreSQL {server.version} {states[0]}")
    yield Line("ok", "scratch", f"PostgreSQL {scratch.version} for scratch databases, in {scratch.home}, {states[1]}")
    if missing := [name for name in needed if name not in available]:
        yield Line(
            "fault" if is_target else "warning", "extensions",
            f"the embedded PostgreSQL {server.version}, for scratch databases too, has no {several(missing)}",
            "; or ".join(ways_out("DATABASE_URL" if is_target else "--scratch URL", missing)),
        )  # fmt: skip


def _state(server: EmbeddedServer) -> str:
    return "runs" if server.is_running() else "does not run; the command that needs it starts it"
