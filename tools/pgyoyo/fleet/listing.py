"""What the settings, the files and the queries of a fleet give of each member, a row each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from pgyoyo import plain_file
from pgyoyo.engine import connection
from pgyoyo.errors import ConnectError, UsageError
from pgyoyo.fleet import definition

if TYPE_CHECKING:
    from pgyoyo.fleet.definition import Fleet

_AT_ONCE = 8  # databases that are asked for their schemas
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
# The project's own database, asked for only where it is needed: that may start a server.
Base = Callable[[], str | None]
_BEFORE_PASSWORD = re.compile(r"://[^/@:]*:$")
# What ends a password in a URL, and a percent sign that begins no code.
_UNFIT = re.compile(r"[\s@/:?#\[\]{}]|%(?![0-9A-Fa-f]{2})")
_FIELD = re.compile(r"\{(\w+)\}")
_SCHEMAS = """
SELECT n.nspname AS schema FROM pg_catalog.pg_namespace AS n
WHERE n.nspname OPERATOR(pg_catalog.~~) %s::pg_catalog.text
  AND n.nspname OPERATOR(pg_catalog.!~) '^(pg_|information_schema$)' ORDER BY n.nspname
"""


def rows(fleet: Fleet, base: Base, environ: Mapping[str, str], root: Path) -> Iterator[dict[str, Any]]:
    """A row a member: conninfo, id, and what a query gave of it."""
    databases = _named_apart(list(_databases(fleet, base, environ, root)))
    names: Sequence[str] = fleet.schemas if isinstance(fleet.schemas, tuple) else ()

    def schemas(row: dict[str, Any]) -> Sequence[Mapping[str, Any]] | ConnectError:
        if names and not any("%" in name for name in names):
            return [{"schema": name} for name in names]
        try:
            return _schemas(fleet, str(row["conninfo"]), names)
        except ConnectError as error:
            if row["alone"]:
                raise
            return error

    if not fleet.schemas:
        yield from databases
        return
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = list(threads.map(schemas, databases))
    for row, rows in zip(databases, answers, strict=True):
        if isinstance(rows, ConnectError):
            yield {**row, "fault": str(rows)}
            continue
        for each in rows:
            yield {
                **row,
                **each,
                "id": each.get("id") or (each["schema"] if row["alone"] else f"{row['id']}/{each['schema']}"),
            }


def _named_apart(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, those of the same name on several servers with the server's before it, where no query gave an id."""
    counts = Counter(row["id"] for row in rows)
    for row in rows:
        if counts[row["id"]] > 1 and "schema" not in row and row["is_named"]:
            facts = conninfo_to_dict(row["conninfo"])
            where = ":".join(str(facts[key]) for key in ("host", "port") if facts.get(key))
            row["id"] = f"{where}/{row['id']}"
    return rows


def _databases(fleet: Fleet, base: Base, environ: Mapping[str, str], root: Path) -> Iterator[dict[str, Any]]:
    given = fleet.databases
    if not given:
        if (own := base()) is None:
            raise UsageError(f"{fleet.source}: {fleet.titled} has schemas and no database: pass --database URL")
        yield {"conninfo": own, "id": conninfo_to_dict(own).get("dbname", ""), "alone": True, "is_named": False}
        return
    if isinstance(given, str) and definition.is_query(given):
        catalog = _expanded(fleet.catalog, environ, fleet) if fleet.catalog else base()
        if catalog is None:
            raise UsageError(
                f"{fleet.source}: the query for databases has no database to ask; give catalog, or --database"
            )
        rows = _ask(fleet, connection.normalize(catalog), given, "databases")
        for row in rows:
            yield {
                **row,
                "conninfo": _conninfo(row, fleet, base, environ),
                "id": _id(row),
                "alone": False,
                "is_named": False,
            }
        return
    names = _lines(root, given, fleet) if isinstance(given, str) else given
    for name in names:
        text = _expanded(name, environ, fleet)
        row = {"url": text} if _is_conninfo(text) else {"dbname": text}
        yield {
            **row,
            "conninfo": _conninfo(row, fleet, base, environ),
            "id": _id(row),
            "alone": False,
            "is_named": True,
        }


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
    where = f"{fleet.source}: the query for {key} of {fleet.titled}"
    with connection.connect(conninfo) as conn:
        try:
            conn.execute("BEGIN READ ONLY")
            rows = conn.cursor(row_factory=dict_row).execute(query.encode()).fetchall()
            conn.execute("COMMIT")
        except psycopg.Error as error:
            words = connection.redact(str(error).strip().splitlines()[0], conninfo)
            raise UsageError(f"{where} fails: {words}") from None
    enough = {"databases": {*wanted, "schema"}, "schemas": {*wanted}}[key]
    if rows and enough.isdisjoint(rows[0]) and not (key == "databases" and fleet.template):
        raise UsageError(f"{where} gives the columns {', '.join(rows[0])}; it must give {' or '.join(wanted)}")
    for number, row in enumerate(rows, start=1):
        # An empty name would mean the project's own database.
        empty = [name for name in (*wanted, "schema") if name in row and _is_blank(row[name])]
        if key == "databases" and any(name in row and name not in empty for name in wanted):
            empty = [name for name in empty if name == "schema"]
        if empty:
            value = "NULL" if row[empty[0]] is None else "empty"
            raise UsageError(f"{where} gives row {number} with a {empty[0]} that is {value}; leave it out with WHERE")
    return rows


def _is_blank(value: Any) -> bool:
    return value is None or not str(value).strip()


def _lines(root: Path, given: str, fleet: Fleet) -> list[str]:
    """The lines of a file of databases, without blank ones and comments."""
    path = root / given
    try:
        lines = plain_file.read(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        if _is_conninfo(given):  # the end of its path may be a password
            raise UsageError(
                f'{fleet.source}: databases is "{connection.shown(given)}", a single database; '
                "give a file with one a line, or in the settings a list or a query"
            ) from None
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f'{fleet.source}: databases is "{path.name}", which is no query, and as a file can\'t be read: {reason}'
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _conninfo(row: Mapping[str, Any], fleet: Fleet, base: Base, environ: Mapping[str, str]) -> str:
    """How to connect to the database of a row: its URL, the template with its columns, or its name on our own server."""
    where = f"{fleet.source}: a database of {fleet.titled}"
    if row.get("url"):
        return _clear(connection.normalize(str(row["url"])), where)
    if fleet.template:
        template = _expanded(fleet.template, environ, fleet)

        def value(field: re.Match[str]) -> str:
            if field[1] not in row:
                raise UsageError(f"{fleet.source}: template has {{{field[1]}}}; known are {', '.join(row)}")
            if row[field[1]] is None:
                raise UsageError(
                    f"{fleet.source}: template has {{{field[1]}}}, which is NULL for {_id(row) or 'a row'}"
                )
            return quote(str(row[field[1]]), safe="")

        return _clear(connection.normalize(_FIELD.sub(value, template)), where)
    if (own := base()) is None:
        raise UsageError(
            f"{fleet.source}: databases of {fleet.titled} are plain names; "
            "give a template for their URLs, or the database of the project"
        )
    return make_conninfo(own, dbname=str(row.get("dbname") or conninfo_to_dict(own).get("dbname", "")))


def _clear(conninfo: str, where: str) -> str:
    """The connection string; raises UsageError where a piece of a password may stand for its host or its database."""
    shown = connection.shown(conninfo)
    if shown.endswith("…"):
        raise UsageError(
            f'{where}: "{shown}" can be read in more than one way; write postgresql://user:password@host:5432/dbname, with '
            "/, @, : and % of the password percent-encoded"
        )
    return conninfo


def _expanded(text: str, environ: Mapping[str, str], fleet: Fleet) -> str:
    """The text with ${NAME} and $NAME as the variables have them; one that is a URL's password is made fit for it."""

    def value(variable: re.Match[str]) -> str:
        name = variable[1] or variable[2]
        if not environ.get(name):
            raise UsageError(f"{fleet.source}: {fleet.titled} needs the variable {name}, which is not set")
        is_password = _BEFORE_PASSWORD.search(text, 0, variable.start()) and text.startswith("@", variable.end())
        return _UNFIT.sub(lambda each: quote(each[0], safe=""), environ[name]) if is_password else environ[name]

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
