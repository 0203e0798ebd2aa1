"""The sizes of the tables of a fleet's members, as review --fleet and sizes --fleet show them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgyoyo.fleet import report, survey
from pgyoyo.review import target
from pgyoyo.review.relation_names import parts
from pgyoyo.review.spread import Tables
from pgyoyo.units import number

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.cli.fleet_run import FleetRun
    from pgyoyo.fleet.members import Member
    from pgyoyo.review.sheet import LiveTable

# The tables of schemas go under the name that the files give them in a database of its own.
HOME = "public."


@dataclass(slots=True)
class Faults:
    """The members that gave no answer, by the first words of why."""

    members: dict[str, list[str]] = field(default_factory=dict)

    def add(self, members: Sequence[Member], fault: str) -> None:
        """Note members without an answer."""
        # The first line of a failed connect names the database, and would keep members of a server apart.
        first, _, rest = fault.partition("\n")
        words = rest.strip().partition("\n")[0] if first.startswith("cannot connect to") and rest else first
        ids = self.members.setdefault(words, [])
        ids += [member.id for member in members if member.id not in ids]

    def lines(self) -> list[str]:
        """A line for each reason, with the members that it is true of."""
        return [
            f"no answer from {number(len(ids), 'member')}: {report.names(ids)}: {words}"
            for words, ids in self.members.items()
        ]


@dataclass(slots=True)
class Collected:
    """The largest of each table; the oldest version of the servers, None if none answered; and how many answered."""

    tables: Mapping[str, LiveTable]
    version: int | None
    answered: int


def collect(run: FleetRun, members: Sequence[Member], names: Collection[str] | None, faults: Faults) -> Collected:
    """The tables with these names, as the server quotes them, over all members; or all tables. Reads only."""
    tables, versions, answered = Tables(), set[int](), 0
    shared: dict[str, Mapping[str, LiveTable]] = {}

    def question(conn: Connection, part: Sequence[Member]) -> list[tuple[str, str, Mapping[str, LiveTable]]]:
        versions.add(conn.info.server_version)
        if part[0].schema is None:
            return [(part[0].id, part[0].plain, target.tables(conn, names, activity=False))]
        own = _by_schema(conn, part, names)
        of_all = target.tables(conn, names, schemas=None if names else ["public"], activity=False)
        if any(member.schema == "public" for member in part):
            of_all = {name: table for name, table in of_all.items() if not name.startswith(HOME)}
        return [("", part[0].plain, of_all), *((member.id, member.plain, own[member.id]) for member in part)]

    for answer in survey.ask(members, question, run.fleet.limits, run.visitor.sessions):
        if answer.value is None:
            faults.add(answer.members, answer.fault)
            continue
        answered += len(answer.members)
        for member_id, place, each in answer.value:
            if member_id:
                tables.add(member_id, each)
            else:
                shared.setdefault(place, each)
    known = tables.largest()
    for place, each in shared.items():
        database = next(member.database for member in members if member.plain == place)
        tables.add(database, {name: table for name, table in each.items() if name not in known})
    return Collected(tables.largest(), min(versions, default=None), answered)


def _by_schema(
    conn: Connection, members: Sequence[Member], names: Collection[str] | None
) -> dict[str, dict[str, LiveTable]]:
    """The tables of each member, by its id, under the names that all members have for them."""
    ids = {member.schema: member.id for member in members}
    [(quoted,)] = conn.execute(
        "SELECT pg_catalog.array_agg(ARRAY[s.name, pg_catalog.quote_ident(s.name)])"
        " FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS s (name)",
        [list(ids)],
    ).fetchall()
    prefixes = {schema: f"{word}." for schema, word in quoted}
    wanted = None
    if names is not None:
        own = [name.removeprefix(HOME) for name in names if name.startswith(HOME)]
        wanted = [prefix + name for prefix in prefixes.values() for name in own]
    tables: dict[str, dict[str, LiveTable]] = {member.id: {} for member in members}
    for name, table in target.tables(conn, wanted, schemas=list(prefixes), activity=False).items():
        schema = parts(name)[0]
        tables[ids[schema]][HOME + name.removeprefix(prefixes[schema])] = table
    return tables
