"""The members of a fleet: each a database, or a schema of one, with its group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from pgyoyo.engine import connection, which_ledger
from pgyoyo.errors import UsageError
from pgyoyo.fleet import definition

if TYPE_CHECKING:
    from pgyoyo.fleet.definition import Fleet, Group

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
# No word of SQL's has a digit.
_PLAIN = re.compile(r"[a-z_][a-z_]*[0-9][a-z0-9_]*")
# The project's own database, asked for only where it is needed: that may start a server.
Base = Callable[[], str | None]
_FIELD = re.compile(r"\{(\w+)\}")
_SCHEMAS = """
SELECT n.nspname AS schema FROM pg_catalog.pg_namespace AS n
WHERE n.nspname OPERATOR(pg_catalog.~~) %s::pg_catalog.text
  AND n.nspname OPERATOR(pg_catalog.!~) '^(pg_|information_schema$)' ORDER BY n.nspname
"""


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
    rows = list(_rows(fleet, base, environ, root))
    if fleet.order_by:
        rows = _ordered(rows, fleet)
    members = [_member(row, fleet, migration_table) for row in rows]
    if not members:
        raise UsageError(f"{fleet.source}: no database or schema is in the fleet {fleet.name}")
    seen: set[str] = set()
    for member in members:
        if member.id in seen:
            raise UsageError(f"{fleet.source}: {member.id} is in the fleet {fleet.name} twice; give each member an id")
        seen.add(member.id)
    return sorted(members, key=lambda member: member.group)


def _rows(fleet: Fleet, base: Base, environ: Mapping[str, str], root: Path) -> Iterator[dict[str, Any]]:
    """A row a member: conninfo, id, and what a query gave of it."""
    for row in _databases(fleet, base, environ, root):
        if not fleet.schemas:
            yield row
            continue
        names: Sequence[str] = fleet.schemas if isinstance(fleet.schemas, tuple) else ()
        if names and not any("%" in name for name in names):
            rows: Sequence[Mapping[str, Any]] = [{"schema": name} for name in names]
        else:
            rows = _schemas(fleet, str(row["conninfo"]), names)
        for each in rows:
            yield {
                **row,
                **each,
                "id": each.get("id") or (each["schema"] if row["alone"] else f"{row['id']}/{each['schema']}"),
            }


def _databases(fleet: Fleet, base: Base, environ: Mapping[str, str], root: Path) -> Iterator[dict[str, Any]]:
    given = fleet.databases
    if not given:
        if (own := base()) is None:
            raise UsageError(f"{fleet.source}: the fleet {fleet.name} has schemas and no database: pass --database URL")
        yield {"conninfo": own, "id": conninfo_to_dict(own).get("dbname", ""), "alone": True}
        return
    if isinstance(given, str) and definition.is_query(given):
        catalog = _expanded(fleet.catalog, environ, fleet) if fleet.catalog else base()
        if catalog is None:
            raise UsageError(
                f"{fleet.source}: the query for databases has no database to ask; give catalog, or --database"
            )
        rows = _ask(fleet, connection.normalize(catalog), given, "databases")
        for row in rows:
            yield {**row, "conninfo": _conninfo(row, fleet, base, environ), "id": _id(row), "alone": False}
        return
    names = _lines(root / given, fleet) if isinstance(given, str) else given
    for name in names:
        text = _expanded(name, environ, fleet)
        row = {"url": text} if _is_conninfo(text) else {"dbname": text}
        yield {**row, "conninfo": _conninfo(row, fleet, base, environ), "id": _id(row), "alone": False}


def _schemas(fleet: Fleet, conninfo: str, patterns: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    text = fleet.schemas if isinstance(fleet.schemas, str) else ""
    if text and definition.is_query(text):
        return _ask(fleet, conninfo, text, "schemas")
    with connection.connect(conninfo) as conn:
        rows = [
            row
            for pattern in patterns or (text,)
            for row in conn.cursor(row_factory=dict_row).execute(_SCHEMAS, [pattern]).fetchall()
        ]
    return list({row["schema"]: row for row in rows}.values())


def _ask(fleet: Fleet, conninfo: str, query: str, key: str) -> Sequence[Mapping[str, Any]]:
    """The rows of a query of the user's, in a transaction that can't write; raises UsageError for one that fails."""
    wanted = {"databases": ("url", "dbname"), "schemas": ("schema",)}[key]
    with connection.connect(conninfo) as conn:
        try:
            conn.execute("BEGIN READ ONLY")
            rows = conn.cursor(row_factory=dict_row).execute(query.encode()).fetchall()
            conn.execute("COMMIT")
        except psycopg.Error as error:
            words = connection.redact(str(error).strip().splitlines()[0], conninfo)
            raise UsageError(f"{fleet.source}: the query for {key} of the fleet {fleet.name} fails: {words}") from None
    if rows and not any(name in rows[0] for name in (*wanted, "schema")) and not fleet.template:
        columns = ", ".join(rows[0])
        raise UsageError(
            f"{fleet.source}: the query for {key} of the fleet {fleet.name} gives the columns {columns}; "
            f"it must give {' or '.join(wanted)}"
        )
    return rows


def _lines(path: Path, fleet: Fleet) -> list[str]:
    """The lines of a file of databases, without blank ones and comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f'{fleet.source}: databases is "{path.name}", which is no query, and as a file can\'t be read: {reason}'
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _conninfo(row: Mapping[str, Any], fleet: Fleet, base: Base, environ: Mapping[str, str]) -> str:
    """How to connect to the database of a row: its URL, the template with its columns, or its name on our own server."""
    if row.get("url"):
        return connection.normalize(str(row["url"]))
    if fleet.template:
        template = _expanded(fleet.template, environ, fleet)

        def value(field: re.Match[str]) -> str:
            if field[1] not in row:
                raise UsageError(f"{fleet.source}: template has {{{field[1]}}}; known are {', '.join(row)}")
            return quote(str(row[field[1]]), safe="")

        return connection.normalize(_FIELD.sub(value, template))
    if (own := base()) is None:
        raise UsageError(
            f"{fleet.source}: databases of the fleet {fleet.name} are plain names; "
            "give a template for their URLs, or the database of the project"
        )
    return make_conninfo(own, dbname=str(row.get("dbname") or conninfo_to_dict(own).get("dbname", "")))


def _expanded(text: str, environ: Mapping[str, str], fleet: Fleet) -> str:
    """The text with ${NAME} and $NAME as the variables have them."""

    def value(variable: re.Match[str]) -> str:
        name = variable[1] or variable[2]
        if not environ.get(name):
            raise UsageError(f"{fleet.source}: the fleet {fleet.name} needs the variable {name}, which is not set")
        return environ[name]

    return _VARIABLE.sub(value, text)


def _is_conninfo(text: str) -> bool:
    return "://" in text or "=" in text


def _id(row: Mapping[str, Any]) -> str:
    if row.get("id") is not None:
        return str(row["id"])
    if row.get("dbname"):
        return str(row["dbname"])
    facts = conninfo_to_dict(connection.normalize(str(row.get("url", "")))) if row.get("url") else {}
    return str(facts.get("dbname") or facts.get("service") or facts.get("host") or "")


def _ordered(rows: list[dict[str, Any]], fleet: Fleet) -> list[dict[str, Any]]:
    column = (fleet.order_by or "").removeprefix("-")
    missing = next((row for row in rows if column not in row), None)
    if missing is not None:
        known = ", ".join(key for key in missing if key not in ("conninfo", "alone"))
        raise UsageError(f'{fleet.source}: order_by is "{fleet.order_by}"; known are {known}')
    rows.sort(key=lambda row: (row[column] is None, row[column]), reverse=(fleet.order_by or "").startswith("-"))
    return rows


def _member(row: Mapping[str, Any], fleet: Fleet, migration_table: str) -> Member:
    plain = conninfo = str(row["conninfo"])
    schema = None if row.get("schema") is None else str(row["schema"])
    facts = conninfo_to_dict(conninfo)
    name = str(row["id"])
    if schema is not None:
        if name in ("", str(row.get("dbname"))):
            name = f"{name}/{schema}" if name else schema
        path = re.sub(r"([\\ ])", r"\\\1", f"{sql.Identifier(schema).as_string()}, public")
        conninfo = make_conninfo(conninfo, options=f"{facts.get('options') or ''} -csearch_path={path}".strip())
    server = f"{facts.get('host', '')}:{facts.get('port', '')}:{facts.get('service', '')}"
    own, whole = (connection.Target(text, migration_table) for text in (conninfo, plain))
    return Member(name, own, whole, str(facts.get("dbname", "")), schema, server, _group(name, fleet.groups))


def _group(name: str, groups: Sequence[Group]) -> int:
    """Where the first group stands that the id fits; those that fit none come last."""
    fitting = (i for i, group in enumerate(groups) if any(fnmatchcase(name, pattern) for pattern in group.match))
    return next(fitting, len(groups))
