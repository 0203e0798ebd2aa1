"""The tests' own server, in .postgres/tests: the processes of a run share it, and the last of them stops it."""

import fcntl
from pathlib import Path

from pgyoyo.errors import ServerError
from pgyoyo.server import in_memory
from pgyoyo.server.postgres import EmbeddedServer, made


def home(root: Path) -> Path:
    """The home of the tests' server of the project in `root`, made if need be; raises as in_memory.home."""
    return in_memory.home(root / ".postgres" / "tests")


def stop(root: Path) -> list[int]:
    """Stop the tests' server that a failed test left running; the versions stopped. Raises ServerError while tests run."""
    place = root / ".postgres" / "tests"
    stopped = []
    for version in made(place):
        with (place / f"in-use-{version}").open("ab") as in_use:
            try:
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServerError(f"tests are running on the server in {place}; end them first") from None
            if EmbeddedServer(place, version=version).stop():
                stopped.append(version)
    return stopped
