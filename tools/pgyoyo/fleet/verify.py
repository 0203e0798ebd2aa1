"""How the schemas of a fleet's members differ from what their migrations give, equal differences together."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from pgyoyo.catalog import snapshot
from pgyoyo.engine import connection
from pgyoyo.errors import PgyoyoError
from pgyoyo.fleet.pool import Pool
from pgyoyo.migrator import Migrator
from pgyoyo.reports import Reports
from pgyoyo.schema import verify
from pgyoyo.schema.comparable import comparable
from pgyoyo.scratch import defaults
from pgyoyo.text import escaped_json

if TYPE_CHECKING:
    from pgyoyo.catalog.snapshot import Snapshot
    from pgyoyo.fleet.definition import Fleet, Limits
    from pgyoyo.fleet.members import Member
    from pgyoyo.fleet.sessions import Sessions
    from pgyoyo.migrations.migration import Folders, Migration
    from pgyoyo.migrations.status import Status
    from pgyoyo.schema.verify import Ignore, Rebuilt

# In the place of a member's own schema, so that members can be compared.
_OWN = "<schema>"


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs at one member; nothing where `lines` is empty. `fault` is why it could not be looked at."""

    member: Member
    lines: tuple[str, ...] = ()
    fault: str = ""

    def as_json(self) -> str:
        """The object of the member, on one line."""
        member = self.member
        value = {
            "member": member.id, "database": member.database, "schema": member.schema, "differences": list(self.lines),
            "fault": self.fault or None,
        }  # fmt: skip
        return escaped_json(json.dumps(value, ensure_ascii=False))


@dataclass(slots=True)
class Verifier:
    """Compares members with what their files give on a scratch server, built once for all that have the same applied.

    `sharing` are the members whose objects others in their database may use, by that database.
    """

    folders: Sequence[Folders]
    scratch: Callable[[int], str]
    ignores: Sequence[Ignore]
    sessions: Sessions
    sharing: Mapping[str, Sequence[Member]] = field(default_factory=dict)
    # Each with the schema, as the server quotes it, that it was built in.
    _rebuilt: dict[tuple[object, ...], tuple[Rebuilt, str | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def drifts(self, members: Sequence[Member], limits: Limits) -> Iterator[Drift]:
        """What differs at each member, several databases at a time; reads only on them."""
        by_database: dict[str, list[Member]] = {}
        for member in members:
            by_database.setdefault(member.plain, []).append(member)
        jobs = limits.jobs_for(len(by_database), len({member.server for member in members}))
        first = [here[0] for here in by_database.values()]
        pool = Pool[list[Drift]](jobs, self.sessions.room)
        for drifts in pool.run(first, lambda member: list(self._of_database(by_database[member.plain]))):
            yield from drifts

    def _of_database(self, members: Sequence[Member]) -> Iterator[Drift]:
        live: list[Snapshot] = []  # read once for all schemas
        for member in members:
            try:
                yield Drift(member, tuple(self._lines(member, live)))
            except (PgyoyoError, psycopg.Error) as error:
                yield Drift(member, fault=connection.redact(str(error).strip(), member.conninfo))

    def _lines(self, member: Member, live: list[Snapshot]) -> Iterator[str]:
        folders = self.folders[member.group]
        with self.sessions.of(member, 0.0, reuse=False) as conn:
            target = Migrator(conn, folders, Reports(None), schema=member.quoted_schema(conn))
            status = target.status()
            yield from verify.ledger_lines(status)
            applied = _applied(target, status)
            shared = [migration for first in self._before(member) for migration in self._applied_at(first, conn)]
            # Of a schema tenant the settings differ by its own schema in the search_path, which is taken out below.
            sessions = repr(defaults.read(conn, applied, status.schema)) if member.schema is None else ""
            version = conn.info.server_version
            # Only public has privileges that no file gives.
            key = (
                member.group,
                version,
                sessions,
                member.schema == "public",
                *(m.hash + m.apply.checksum for m in (*shared, *applied)),
            )
            with self._lock:
                if key not in self._rebuilt:
                    scratch = self.scratch(version)
                    built = verify.rebuilt(scratch, target, applied, status, shared=shared)
                    self._rebuilt[key] = built, member.quoted_schema(conn)
            rebuilt, built_as = self._rebuilt[key]
            origin = verify.origin_of(conn, status.schema)
            if not live:
                live.append(verify.live(conn))
            schema = member.quoted_schema(conn)
        made, here = rebuilt.catalog, live[0]
        if schema is not None:
            made, here = _own(made, built_as or ""), _own(here, schema)
        made, here, _ = comparable(made, here, rebuilt.origin, origin, rebuilt.roles, owners=False, given=(_OWN,))
        for change in snapshot.difference(made, here):
            if not any(rule.covers(change) for rule in self.ignores):
                yield str(change)

    def _before(self, member: Member) -> list[Member]:
        """The members whose objects this one may use: in its database, and of a group before its own."""
        return [each for each in self.sharing.get(member.plain, ()) if each.group < member.group]

    def _applied_at(self, member: Member, conn: psycopg.Connection) -> list[Migration]:
        """What is applied at another member of the session's database."""
        target = Migrator(conn, self.folders[member.group], Reports(None), schema=member.quoted_schema(conn))
        return _applied(target, target.status())


def _applied(target: Migrator, status: Status) -> list[Migration]:
    return [target.migration_of(row, status, as_applied=True) for row in status.applied]


def sharing(fleet: Fleet, members: Sequence[Member]) -> dict[str, list[Member]]:
    """By database the schemas of a group with files of its own, whose objects others may use."""
    shared: dict[str, list[Member]] = {}
    for member in members:
        if member.schema is not None and member.group < len(fleet.groups) and fleet.groups[member.group].migrations:
            shared.setdefault(member.plain, []).append(member)
    return shared


def together(drifts: Sequence[Drift]) -> dict[tuple[str, ...], list[str]]:
    """The ids of the members that differ in the same way, the largest groups first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for drift in drifts:
        if drift.lines:
            groups.setdefault(drift.lines, []).append(drift.member.id)
    return dict(sorted(groups.items(), key=lambda entry: -len(entry[1])))


def faults_together(drifts: Sequence[Drift]) -> dict[str, list[str]]:
    """The ids of the members that could not be compared, by why; where only a member's name differs, that of the first."""
    groups: dict[str, tuple[str, list[str]]] = {}
    for drift in drifts:
        if drift.fault:
            key = drift.fault.replace(drift.member.id, "")
            groups.setdefault(key, (drift.fault, []))[1].append(drift.member.id)
    return dict(groups.values())


def _own(catalog: Snapshot, schema: str) -> Snapshot:
    """The objects of one schema, with its name out of all texts."""
    word = re.compile(rf'(?<![\w".]){re.escape(schema)}(?![\w"])')
    return {
        (kind, word.sub(_OWN, identity)): word.sub(_OWN, text)
        for (kind, identity), text in catalog.items()
        if word.search(identity)
    }
