"""The members of a fleet: each a database, or a schema of one, with its group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo.engine import connection, which_ledger
from pgyoyo.errors import UsageError
from pgyoyo.fleet import listing

if TYPE_CHECKING:
    from pgyoyo.fleet.definition import Fleet, Group
    from pgyoyo.fleet.listing import Base

# No word of SQL's has a digit.
_PLAIN = re.compile(r"[a-z_][a-z_]*[0-9][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Member:
    """A database, or with `schema` (as it is, not quoted) one schema of it; `id` is what people call it.

    `conninfo` has the schema first in its search_path, `plain` is that of the database. `server` is the same for all members
    on one server.
    """

    id: str
    conninfo: str
    plain: str
    database: str
    schema: str | None
    server: str
    group: int
    # Why its schemas could not be asked for: it stands for all of them.
    fault: str = ""

    @property
    def search_path(self) -> str:
        """That of its sessions, where it is a schema."""
        return f"{sql.Identifier(self.schema).as_string()}, public" if self.schema is not None else ""

    def quoted_schema(self, conn: psycopg.Connection) -> str | None:
        """The schema as the server quotes it, which is asked only where the name might be a word of SQL's."""
        if self.schema is None or _PLAIN.fullmatch(self.schema):
            return self.schema
        row = conn.execute("SELECT pg_catalog.quote_ident(%s)", [self.schema]).fetchone()
        assert row
        return str(row[0])


def find(
    fleet: Fleet, base: Base, environ: Mapping[str, str], root: Path, migration_table: str = which_ledger.TABLE
) -> list[Member]:
    """The members in the order in which they run: by group, and within one as the fleet has them.

    `base` gives the project's own database, if it has one: the catalog for queries where the fleet names none, and the server
    of plain database names. `migration_table` is the name of each member's ledger. Asks only the catalog, and each database
    whose schemas are a pattern or a query. Raises UsageError for a fleet without members, for one that is there twice, and
    for a value that can't be meant; ConnectError.
    """
    rows = list(listing.rows(fleet, base, environ, root))
    if fleet.order_by:
        rows = _ordered(rows, fleet)
    unnamed = environ.get("PGDATABASE", "")
    members = [_member(row, fleet, migration_table, unnamed) for row in rows]
    if not members:
        pattern = f'; schemas is "{fleet.schemas}"' if isinstance(fleet.schemas, str) and fleet.schemas else ""
        raise UsageError(f"{fleet.source}: no database or schema is in {fleet.titled}{pattern}")
    seen: set[str] = set()
    places: dict[tuple[str, str | None], str] = {}
    for member in members:
        if member.id in seen:
            raise UsageError(
                f"{fleet.source}: {member.id} is in {fleet.titled} twice; leave one out, or have the query give "
                "each an id"
            )
        seen.add(member.id)
        if (first := places.setdefault((member.plain, member.schema), member.id)) != member.id:
            raise UsageError(
                f"{fleet.source}: {first} and {member.id} in {fleet.titled} are the same "
                f"{'database' if member.schema is None else 'schema'}; leave one out"
            )
    return sorted(members, key=lambda member: member.group)


def _ordered(rows: list[dict[str, Any]], fleet: Fleet) -> list[dict[str, Any]]:
    column = (fleet.order_by or "").removeprefix("-")
    # A database whose schemas could not be asked for comes last.
    missing = next((row for row in rows if column not in row and "fault" not in row), None)
    if missing is not None:
        known = ", ".join(key for key in missing if key not in ("conninfo", "alone", "is_named"))
        raise UsageError(f'{fleet.source}: order_by is "{fleet.order_by}"; known are {known}')
    known_rows = [row for row in rows if row.get(column) is not None]
    known_rows.sort(key=lambda row: row[column], reverse=(fleet.order_by or "").startswith("-"))
    return [*known_rows, *(row for row in rows if row.get(column) is None)]


def _member(row: Mapping[str, Any], fleet: Fleet, migration_table: str, unnamed: str) -> Member:
    """The member of a row; `unnamed` is the database that libpq takes where none is named."""
    plain = conninfo = str(row["conninfo"])
    schema = None if row.get("schema") is None else str(row["schema"])
    facts = conninfo_to_dict(conninfo)
    name = str(row["id"])
    if schema is not None:
        if name in ("", str(row.get("dbname"))):
            name = f"{name}/{schema}" if name else schema
        path = re.sub(r"([\\\s])", r"\\\1", f"{sql.Identifier(schema).as_string()}, public")
        conninfo = make_conninfo(conninfo, options=f"{facts.get('options') or ''} -csearch_path={path}".strip())
    server = f"{facts.get('host', '')}:{facts.get('port', '')}:{facts.get('service', '')}"
    own, whole = (connection.Target(text, migration_table) for text in (conninfo, plain))
    return Member(
        name,
        own,
        whole,
        str(facts.get("dbname", unnamed)),
        schema,
        server,
        _group(name, fleet.groups),
        str(row.get("fault", "")),
    )


def _group(name: str, groups: Sequence[Group]) -> int:
    """Where the first group stands that the id fits; those that fit none come last."""
    fitting = (
        i for i, group in enumerate(groups)
        if any(name == pattern or fnmatchcase(name, pattern) for pattern in group.match)  # a name may hold brackets
    )  # fmt: skip
    return next(fitting, len(groups))
