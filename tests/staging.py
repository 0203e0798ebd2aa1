"""Migrations for tests, and rehearsal databases shared by many: clearing the two copies is faster than creating them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pgyoyo.migrations.migration import Migration
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import UTC

# A schema of the ledger's own, which outlives a test: making its tables, and dropping them, takes as long as a rehearsal.
LEDGER = "kept_ledger"
DEFAULTS = replace(UTC, schemas=(LEDGER,), ledger=LEDGER)
Files = dict[str, tuple[str, str | None]]


def write(folder: Path, files: Files) -> None:
    """Write migrations, up and down, into a folder; it is made if need be."""
    folder.mkdir(exist_ok=True)
    for name, (up, down) in files.items():
        (folder / f"{name}.sql").write_text(up)
        if down is not None:
            (folder / f"{name}.rollback.sql").write_text(down)


def begin(stage: RehearsalDatabases, chain: Sequence[Migration]) -> None:
    """Clear both copies, then apply these in each."""
    for copy in (stage.copy, stage._identical()):
        _clear(copy)
    go_on(stage, chain)


def go_on(stage: RehearsalDatabases, chain: Sequence[Migration]) -> None:
    """Apply these in both copies."""
    for copy in (stage.copy, stage._identical()):
        for step in chain:
            copy.run(step, "apply")


def _clear(copy: ScratchDatabase) -> None:
    """Leave nothing of an earlier test but an empty ledger."""
    copy.conn.execute("DISCARD ALL")
    schemas = copy.conn.execute(
        "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' AND nspname <> %s",
        [LEDGER],
    )
    left = [f"DROP SCHEMA {name} CASCADE" for (name,) in schemas.fetchall()]
    left += [
        f"DROP PUBLICATION {name}" for (name,) in copy.conn.execute("SELECT quote_ident(pubname) FROM pg_publication")
    ]
    tables = copy.conn.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'", [LEDGER]
    )
    left += [f"DELETE FROM {name}" for (name,) in tables]
    copy.conn.execute(";".join([*left, "CREATE SCHEMA public"]).encode())
    copy.backend._executor = None
    copy.sees_messages = None
    copy.changed()
