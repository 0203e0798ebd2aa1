"""The library's calls for asyncio: each works in a thread, so that the loop goes on meanwhile.

A call whose task is cancelled ends in its thread, as if it had not been: no migration is left half-done.
"""

import asyncio
from collections.abc import Sequence

from pgyoyo import library
from pgyoyo.library import Target
from pgyoyo.reports import Observer
from pgyoyo.results import Applied, RolledBack, Status
from pgyoyo.sources import Sources


async def apply(
    target: Target,
    migrations: Sources,
    *,
    to: str | None = None,
    wait: float = 60.0,
    give_up_after: float = 600.0,
    strict: bool = False,
    observer: Observer | None = None,
) -> Applied:
    """As pgyoyo.apply; the observer's methods run in the thread."""
    return await asyncio.to_thread(
        library.apply,
        target, migrations, to=to, wait=wait, give_up_after=give_up_after, strict=strict, observer=observer,
    )  # fmt: skip


async def rollback(
    target: Target,
    migrations: Sources,
    *,
    ids: Sequence[str] = (),
    to: str | None = None,
    count: int | None = None,
    everything: bool = False,
    wait: float = 60.0,
    give_up_after: float = 600.0,
    observer: Observer | None = None,
) -> RolledBack:
    """As pgyoyo.rollback; the observer's methods run in the thread."""
    return await asyncio.to_thread(
        library.rollback,
        target, migrations, ids=ids, to=to, count=count, everything=everything, wait=wait, give_up_after=give_up_after,
        observer=observer,
    )  # fmt: skip


async def status(target: Target, migrations: Sources, *, wait: float = 0.0) -> Status:
    """As pgyoyo.status."""
    return await asyncio.to_thread(library.status, target, migrations, wait=wait)


async def pending(target: Target, migrations: Sources, *, wait: float = 0.0) -> tuple[str, ...]:
    """As pgyoyo.pending."""
    return await asyncio.to_thread(library.pending, target, migrations, wait=wait)


async def wait_until_applied(
    target: Target, migrations: Sources, *, upto: str | None = None, wait: float = 60.0, interval: float = 0.5
) -> Status:
    """As pgyoyo.wait_until_applied."""
    return await asyncio.to_thread(
        library.wait_until_applied, target, migrations, upto=upto, wait=wait, interval=interval
    )
