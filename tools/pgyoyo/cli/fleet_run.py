"""What the commands of pgyoyo fleet share: a run over the members that the options and the settings name."""

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from shlex import quote
from types import FrameType
from typing import Any

from pgyoyo.cli.config import load, note
from pgyoyo.cli.context import target
from pgyoyo.errors import UsageError
from pgyoyo.fleet import definition, members
from pgyoyo.fleet.definition import Fleet
from pgyoyo.fleet.run import Run
from pgyoyo.fleet.sessions import Sessions
from pgyoyo.fleet.visit import Options, Visitor
from pgyoyo.migrations import plan, reader
from pgyoyo.migrations.migration import Folders
from pgyoyo.settings import EMBEDDED, Settings

_SHARE = re.compile(r"[-+]?[0-9.,]+\s*%?")
LIMITS = {
    "jobs": ("N", "How many members at a time (8 per server)."),
    "per_server": ("N", "How many of them on one server at most."),
    "max_connections": ("N", "How many connections of one server to take at most (half of the free ones)."),
    "max_failures": ("N|N%", "End when so many members, or such a percentage of them, have failed (10; 0 for never)."),
}
CANARY = {
    "bake": ("TIME", "How long to wait after the canary before it is looked at again, and the others follow."),
    "max_lock": ("TIME", "End where the canary held a strong lock on a table for longer."),
    "max_wal": ("SIZE", "End where the canary wrote more WAL."),
    "max_duration": ("TIME", "End where the canary took longer."),
    "backfills": ("N", "How many members of one server may run a backfill at a time (2)."),
}


class FleetRun(Run):
    """A run, and the settings it began with."""

    config: Settings


@contextmanager
def opened(
    name: str | None,
    *,
    database: str | None,
    migrations: tuple[str, ...],
    listed: str | None = None,
    schemas: str | None = None,
    target_id: str | None = None,
    count: int | None = None,
    canary: Sequence[str] = (),
    strict: bool = False,
    phase: str | None = None,
    wait: float | None = None,
    give_up_after: float = 600.0,
    **options: Any,
) -> Iterator[FleetRun]:
    """A run over the members, whose sessions are closed at the end."""
    config = load(database=database, migrations=migrations)
    chosen = _fleet(config, name, listed, schemas)
    limits = {key.replace("_", "-"): text for key, text in options.items() if key in (LIMITS | CANARY) and text}
    shares = [text for text in canary if _SHARE.fullmatch(text.strip())]
    if shares:
        limits["canary"] = shares[-1]
    given = definition.limits(limits, "the command line")
    fields = [key.replace("-", "_") for key in limits]
    chosen = replace(chosen, limits=replace(chosen.limits, **{name: getattr(given, name) for name in fields}))
    folders = [
        _files([str(config.root / place) for place in group.migrations] or config.migrations) for group in chosen.groups
    ]
    folders.append(_files(config.migrations))

    @cache
    def own() -> str | None:
        return None if config.database is None else target(config)

    among = members.find(chosen, own, os.environ, config.root, config.migration_table)
    names = [text for text in canary if text not in shares]
    for text in names:
        if text not in {member.id for member in among}:
            raise UsageError(f'--canary is "{text}", which is no member of {chosen.name}')
    if target_id is not None:
        target_id = plan.find(target_id, dict.fromkeys(m.id for each in folders for m in each.migrations))
    by_hand = {"--databases": listed, "--schemas": schemas}
    named = quote(name) if name else " ".join(f"{option} {quote(text)}" for option, text in by_hand.items() if text)
    treated = Options(
        named=named, target=target_id, count=count, strict=strict, phase=phase, wait=60.0 if wait is None else wait,
        wait_for_server=wait or 0.0,
        give_up_after=give_up_after, limits=config.limits, backfills=chosen.limits.backfills,
        embedded=config.database == EMBEDDED,
    )  # fmt: skip
    sessions = Sessions(chosen.limits.places)
    run = FleetRun(chosen, among, Visitor(folders, treated, sessions), note, canary_ids=names)
    run.config = config
    try:
        yield run
    finally:
        sessions.close()


def _files(places: Sequence[str]) -> Folders:
    """What the folders hold, the migrations in the order in which they run."""
    folders = reader.read(places)
    return replace(folders, migrations=tuple(plan.order(folders.migrations)))


def _fleet(config: Settings, name: str | None, listed: str | None, schemas: str | None) -> Fleet:
    if listed or schemas:
        if name:
            raise UsageError("give a NAME, or --databases and --schemas")
        # A URL given by mistake stays one, so that its error can hide its password.
        place = str(Path(listed).resolve()) if listed and "://" not in listed else listed
        return Fleet(name="fleet", databases=place or (), schemas=schemas or ())
    if name is None:
        known = ", ".join(str(table.get("name")) for table in config.fleets)
        raise UsageError(
            f"give the NAME of a fleet ({known or 'no [[tool.pgyoyo.fleet]] is there'}), --databases or --schemas"
        )
    return definition.choose(config.fleets, name, "[tool.pgyoyo]")


@contextmanager
def interruptible(run: Run) -> Iterator[None]:
    """The first ctrl-C lets the members in hand finish, a second one cancels them; SIGTERM likewise."""

    def interrupt(_: int, __: FrameType | None) -> None:
        first = not run.is_interrupted
        run.interrupt()
        note("ending with the members in hand; once more cancels them" if first else "cancelling")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)
