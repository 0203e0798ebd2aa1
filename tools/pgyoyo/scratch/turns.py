"""Runs whose files make or change roles take turns on the project's own scratch server: its roles are those of all runs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine.ledger import key_of
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import present_roles, rights

_KEY = key_of("pgyoyo: the roles of the scratch server")
_PAUSE = 0.1  # seconds between two looks whether the other run has ended


@contextmanager
def taken(admin: Connection, migrations: Sequence[Migration], console: Console) -> Iterator[None]:
    """Wait for another such run, and let the next one wait until the block ends; a note names the reason.

    On another server, which others may use in any way, nothing is waited for.
    """
    if rights.owner(admin) is None or not present_roles.are_made_by(migrations):
        yield
        return
    noted = False
    while admin.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [_KEY]).fetchone() != (True,):
        if not noted:
            console.note(
                "waiting for another run on the scratch server: its files and these make roles, which are shared"
            )
            noted = True
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        if not admin.closed:
            admin.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [_KEY])
