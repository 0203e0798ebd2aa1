"""A PostgreSQL of its own, for what may stop it, fill it or measure it; gone with its folder at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import make_conninfo

from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.server.tests_server import ENOUGH, MEMORY


@contextmanager
def own_server(settings: Mapping[str, str] | None = None, *, memory: bool = False) -> Iterator[EmbeddedServer]:
    """A running server of the version of PGYOYO_TEST_POSTGRES; TMPDIR says where, unless it is to lie in memory.

    Memory is taken where there is room.
    """
    room = memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH
    # Not in pytest's own folder, which would be opened to the server's account.
    home = Path(tempfile.mkdtemp(prefix="pgyoyo-own-", dir=MEMORY if room else None))
    server = EmbeddedServer(home, version=int(os.environ.get("PGYOYO_TEST_POSTGRES") or 18), settings=settings)
    try:
        server.ensure_running(lambda _: None)
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


@contextmanager
def superuser(settings: Mapping[str, str]) -> Iterator[str]:
    """A superuser's conninfo to the server of DATABASE_URL, or, without it, to one of its own."""
    if url := os.environ.get("DATABASE_URL"):
        yield make_conninfo(url, dbname="postgres")
        return
    with own_server(settings) as server:
        yield server.conninfo("postgres")
