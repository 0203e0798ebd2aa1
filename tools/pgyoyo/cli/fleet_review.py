"""What review --fleet is about: the migrations that are pending at members, or named, in the order of the groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psycopg

from pgyoyo.cli.fleet_rows import with_rows
from pgyoyo.cli.fleet_sizes import Faults, collect
from pgyoyo.engine import connection
from pgyoyo.errors import PgyoyoError
from pgyoyo.fleet import survey
from pgyoyo.fleet.shared import as_of
from pgyoyo.migrations import git, plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.migrator import Migrator
from pgyoyo.reports import Reports
from pgyoyo.review import live
from pgyoyo.review.review import Chain
from pgyoyo.review.sheet import Review
from pgyoyo.scratch import defaults as session_defaults
from pgyoyo.units import number

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.cli.fleet_run import FleetRun
    from pgyoyo.fleet.members import Member
    from pgyoyo.scratch.defaults import Defaults


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is pending at a member, and whether anything is applied; `fault` is why that is not known."""

    member: Member
    pending: tuple[str, ...] = ()
    is_begun: bool = False
    fault: str = ""


@dataclass(slots=True)
class Part:
    """The groups that have the same files, with what their members answered.

    `shared` are files of earlier groups in the same databases. `pending` counts the members where an id is pending.
    """

    name: str
    folders: Folders
    members: list[Member] = field(default_factory=list)
    shared: list[Migration] = field(default_factory=list)
    pending: dict[str, int] = field(default_factory=dict)
    is_begun: bool = False
    version: int | None = None
    defaults: Defaults | None = None

    def chain(self, ids: Sequence[str], since: str | None) -> Chain:
        """The migrations under review: with these ids, changed since the ref, or pending at a member."""
        own = list(self.folders.migrations)
        names = set(ids or (git.since(since, own) if since is not None else self.pending))
        order = [*self.shared, *own]
        chosen = [i for i, migration in enumerate(order) if migration.id in names and i >= len(self.shared)]
        return Chain(order, chosen, release=since is not None or (self.is_begun and names <= self.pending.keys()))

    def ask(self, run: FleetRun, faults: Faults) -> None:
        """Ask the members what is pending there, and one of them what its sessions begin with; reads only."""
        files = self.folders.migrations

        def question(conn: Connection, part: Sequence[Member]) -> tuple[int, Defaults, list[_Standing]]:
            begins = session_defaults.read(conn, files, None)
            return conn.info.server_version, begins, [_standing(conn, member, self.folders) for member in part]

        for answer in survey.ask(self.members, question, run.fleet.limits, run.visitor.sessions):
            if answer.value is None:
                faults.add(answer.members, answer.fault)
                continue
            version, begins, standings = answer.value
            if self.version is None or version < self.version:
                self.version, self.defaults = version, begins
            for standing in standings:
                if standing.fault:
                    faults.add([standing.member], standing.fault)
                self.is_begun |= standing.is_begun
                for name in standing.pending:
                    self.pending[name] = self.pending.get(name, 0) + 1
        if self.defaults and any(member.schema is not None for member in self.members):
            # Each schema is rehearsed as the schema public of a database of its own.
            client = {**self.defaults.client, "search_path": "public"}
            self.defaults = replace(self.defaults, client=client, schemas=(), ledger="public")


def _standing(conn: Connection, member: Member, folders: Folders) -> _Standing:
    try:
        status = Migrator(conn, folders, Reports(None), schema=member.quoted_schema(conn)).status()
    except (PgyoyoError, psycopg.Error) as error:
        return _Standing(member, fault=connection.redact(str(error).strip(), member.plain))
    return _Standing(member, tuple(migration.id for migration in status.pending), bool(status.applied))


def parts(run: FleetRun) -> list[Part]:
    """The parts of a fleet in the order of its groups; nobody is asked."""
    groups = run.fleet.groups
    made: dict[tuple[str, ...], Part] = {}
    for member in run.members:
        group = groups[member.group] if member.group < len(groups) else None
        key = group.migrations if group else ()
        part = made.setdefault(key, Part(group.name if group and key else "", run.visitor.folders[member.group]))
        part.members.append(member)
    for number_, part in enumerate(done := list(made.values())):
        places = {member.plain for member in part.members if member.schema is not None}
        for earlier in done[:number_]:
            if earlier.name and not places.isdisjoint(member.plain for member in earlier.members):
                part.shared += as_of(earlier.name, earlier.folders.migrations)
    return done


def chosen_ids(among: Sequence[Part], ids: Sequence[str]) -> list[str]:
    """The ids that these names mean, in any part; raises UsageError."""
    known = list(dict.fromkeys(migration.id for part in among for migration in part.folders.migrations))
    return [plan.find(name, known) for name in ids]


def sized(run: FleetRun, part: Part, faults: Faults) -> Callable[[Review], Review]:
    """What adds to a review the sizes of the tables of the part's members, at how many of them it is pending, and what their
    rows refuse."""

    def added(review: Review) -> Review:
        collected = collect(run, part.members, live.tables_of(review), faults)
        total = len(part.members)
        where = f"{run.fleet.titled}, the largest of {number(total, 'member')}"
        sheets = (
            replace(
                sheet,
                notes=(*sheet.notes, f"pending at {part.pending.get(sheet.id, 0):,} of {number(total, 'member')}"),
            )
            for sheet in review.sheets
        )
        sized = live.with_tables(replace(review, sheets=tuple(sheets)), collected.tables, where)
        return with_rows(run, part.members, sized, faults)

    return added


def joined(reviews: Sequence[Review], notes: Sequence[str]) -> Review:
    """The reviews of several parts as one."""
    if not reviews:
        return Review(
            (),
            "",
            notes=("nothing to review: nothing is pending at any member; name migrations: pgyoyo review ID", *notes),
        )
    first = reviews[0]
    sheets = tuple(sheet for each in reviews for sheet in each.sheets)
    own = dict.fromkeys(note for each in reviews for note in each.notes)
    places = " and ".join(dict.fromkeys(each.database for each in reviews if each.database))
    return replace(first, sheets=sheets, database=places or None, notes=(*own, *notes))
