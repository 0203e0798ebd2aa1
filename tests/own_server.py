"""A PostgreSQL of its own, for what may stop it, fill it or measure it; gone with its folder at the end."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from psycopg.conninfo import make_conninfo

from pgyoyo.server import tests_server
from pgyoyo.server.in_memory import ENOUGH, MEMORY
from pgyoyo.server.postgres import EmbeddedServer

ROOT = Path(__file__).parents[1]


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
        made = pristine(server.version)
        for folder in (home, server.folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)
        subprocess.run(["cp", "-a", made, server.data], check=True)
        server.ensure_running(lambda _: None)
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


@cache
def pristine(version: int) -> Path:
    """A data directory fresh from initdb, to be copied, which takes a tenth of the time.

    One for all runs, beside the tests' server.
    """
    home = tests_server.home(ROOT) / "pristine"
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    server = EmbeddedServer(home, version=version, settings={"fsync": "off"})
    with (home / f"made-{version}").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        made.seek(0)
        # Another build's data directory may be of another layout.
        build = f"{server.binary('postgres')} {server.binary('postgres').stat().st_mtime}"
        if made.read() != build:
            shutil.rmtree(server.folder, ignore_errors=True)
            server.ensure_running(lambda _: None)
            server.stop()
            made.truncate(0)
            made.write(build)
    return server.data


@contextmanager
def superuser(settings: Mapping[str, str]) -> Iterator[str]:
    """A superuser's conninfo to the server of DATABASE_URL, or, without it, to one of its own."""
    if url := os.environ.get("DATABASE_URL"):
        yield make_conninfo(url, dbname="postgres")
        return
    with own_server(settings) as server:
        yield server.conninfo("postgres")
