"""How the schemas of a fleet's members differ from what their migrations give, equal differences together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from pgyoyo.catalog import snapshot
from pgyoyo.engine import connection
from pgyoyo.errors import PgyoyoError
from pgyoyo.fleet.visit import refuse_missing
from pgyoyo.migrator import Migrator
from pgyoyo.reports import Reports
from pgyoyo.schema import verify
from pgyoyo.schema.comparable import comparable
from pgyoyo.scratch import defaults

if TYPE_CHECKING:
    from pgyoyo.catalog.snapshot import Snapshot
    from pgyoyo.fleet.members import Member
    from pgyoyo.migrations.migration import Folders
    from pgyoyo.schema.verify import Ignore, Rebuilt

# In the place of a member's own schema, so that members can be compared.
_OWN = "<schema>"


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs at one member; nothing where `lines` is empty. `fault` is why it could not be looked at."""

    member: Member
    lines: tuple[str, ...] = ()
    fault: str = ""


@dataclass(slots=True)
class Verifier:
    """Compares members with what their files give on a scratch server, built once for all that have the same applied."""

    folders: Sequence[Folders]
    scratch: Callable[[int], str]
    ignores: Sequence[Ignore]
    _rebuilt: dict[tuple[object, ...], Rebuilt] = field(default_factory=dict)
    _live: tuple[str, Snapshot] = ("", {})

    def drifts(self, members: Sequence[Member]) -> Iterator[Drift]:
        """What differs at each member, one database after the other; reads only on them."""
        for member in sorted(members, key=lambda member: (member.plain, member.id)):
            try:
                yield Drift(member, tuple(self._lines(member)))
            except (PgyoyoError, psycopg.Error) as error:
                yield Drift(member, fault=connection.redact(str(error).strip(), member.conninfo))

    def _lines(self, member: Member) -> Iterator[str]:
        folders = self.folders[member.group]
        with connection.connect(member.conninfo) as conn:
            if member.schema is not None:
                refuse_missing(conn, member)
            target = Migrator(conn, folders, Reports(None), schema=member.quoted_schema(conn))
            status = target.status()
            yield from verify.ledger_lines(status)
            applied = [target.migration_of(row, status, as_applied=True) for row in status.applied]
            # Of a schema tenant the settings differ by its own schema in the search_path, which is taken out below.
            sessions = repr(defaults.read(conn, applied, status.schema)) if member.schema is None else ""
            version = conn.info.server_version
            key = (member.group, version, sessions, *(m.hash + m.apply.checksum for m in applied))
            if key not in self._rebuilt:
                self._rebuilt[key] = verify.rebuilt(self.scratch(version), target, applied, status)
            rebuilt = self._rebuilt[key]
            origin = verify.origin_of(conn, status.schema)
            live, schema = self._catalog(conn, member), member.quoted_schema(conn)
        made, here = rebuilt.catalog, live
        if schema is not None:
            made, here = _own(made, rebuilt.schema), _own(here, schema)
        made, here, _ = comparable(made, here, rebuilt.origin, origin, rebuilt.roles, owners=False, given=(_OWN,))
        for change in snapshot.difference(made, here):
            if not any(rule.covers(change) for rule in self.ignores):
                yield str(change)

    def _catalog(self, conn: psycopg.Connection, member: Member) -> Snapshot:
        """The catalog of the member's database, read once for all its schemas."""
        if self._live[0] != member.plain:
            self._live = member.plain, verify.live(conn)
        return self._live[1]


def together(drifts: Sequence[Drift]) -> dict[tuple[str, ...], list[str]]:
    """The ids of the members that differ in the same way, the largest groups first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for drift in drifts:
        if drift.lines:
            groups.setdefault(drift.lines, []).append(drift.member.id)
    return dict(sorted(groups.items(), key=lambda entry: -len(entry[1])))


def _own(catalog: Snapshot, schema: str) -> Snapshot:
    """The objects of one schema, with its name out of all texts."""
    word = re.compile(rf'(?<![\w".]){re.escape(schema)}(?![\w"])')
    return {
        (kind, word.sub(_OWN, identity)): word.sub(_OWN, text)
        for (kind, identity), text in catalog.items()
        if word.search(identity)
    }
