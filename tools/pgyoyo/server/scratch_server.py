"""The server that scratch databases are made on, in .postgres/scratch: it holds nothing else, and may be lost at any time."""

from collections.abc import Callable
from pathlib import Path

from pgyoyo.errors import ServerError
from pgyoyo.server import in_memory
from pgyoyo.server.initdb import remove_data
from pgyoyo.server.postgres import EmbeddedServer, made

# What a rehearsal provokes would fill its log, in memory.
SETTINGS = {**in_memory.FAST, "log_min_messages": "fatal"}


def place(root: Path) -> Path:
    """The home of the server of the project in `root`, which may be a link; makes nothing."""
    return root / ".postgres" / "scratch"


def running(root: Path, *, version: int, programs: Path | None, say: Callable[[str], None]) -> EmbeddedServer:
    """The server of the project in `root`, started if need be; `say` gets a line for what was done for that.

    It runs on when the command ends, for the next one. Raises ServerError.
    """
    in_memory.leave_if_short(place(root))
    home = in_memory.home(place(root))
    server = _ScratchServer(home, version=version, settings=SETTINGS, programs=programs)
    server.ensure_running(lambda line: say(f"{line} (for scratch databases)"))
    return server


def stop(root: Path) -> list[int]:
    """Stop it, whoever is connected; the versions stopped. Raises ServerError."""
    home = place(root)
    return [version for version in made(home) if EmbeddedServer(home, version=version).stop()]


class _ScratchServer(EmbeddedServer):
    """The server; it begins with new data where the old can't be trusted, or won't do."""

    def _begin(self, say: Callable[[str], None]) -> None:
        if (self.data / "postmaster.pid").exists():
            # It did not end by itself, and with fsync off nobody knows what of its data reached the disk.
            remove_data(self.data)
        try:
            super()._begin(say)
        except ServerError:  # data of another build, or ALTER SYSTEM of a file
            if not self.data.exists():
                raise
            remove_data(self.data)
            super()._begin(say)
