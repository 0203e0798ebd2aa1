"""What new sessions of a target begin with, so that a scratch database makes the same of its migrations."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import Connection, sql

import pgyoyo.sql
from pgyoyo.engine import connection
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.scratch import databases, lent
from pgyoyo.sql.lexer import folded

# What decides the schema of an object, its definition, or what a literal means. Timeouts and limits are left to the server.
_NAMES = (
    "search_path", "timezone", "datestyle", "intervalstyle", "bytea_output", "extra_float_digits", "xmloption",
    "check_function_bodies", "standard_conforming_strings", "transform_null_equals", "array_nulls", "backslash_quote",
    "default_table_access_method", "default_with_oids", "default_toast_compression",
)  # fmt: skip
# Of a setting that a name of the list has, or an extension's or a project's own (they have a dot).
_SETTINGS = """
SELECT pg_catalog.lower(name), reset_val FROM pg_catalog.pg_settings
WHERE context OPERATOR(pg_catalog.=) 'user'
  AND pg_catalog.lower(name) OPERATOR(pg_catalog.=) ANY(%s::pg_catalog.text[])
"""
# Those that come later win. A role's are those of the role that logged in, whatever SET ROLE made of it since.
_STORED = """
SELECT pg_catalog.unnest(s.setconfig)
FROM pg_catalog.pg_db_role_setting AS s
WHERE s.setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[0, (
    SELECT d.oid FROM pg_catalog.pg_database AS d
    WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())]::pg_catalog.oid[])
  AND s.setrole OPERATOR(pg_catalog.=) ANY (ARRAY[0, (
    SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) session_user)]::pg_catalog.oid[])
ORDER BY s.setrole OPERATOR(pg_catalog.<>) 0::pg_catalog.oid, s.setdatabase OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
"""
_USER_SCHEMA = """
SELECT pg_catalog.quote_ident(nspname) FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) session_user
"""
_SCHEMAS = """
SELECT nspname FROM pg_catalog.pg_namespace
WHERE nspname OPERATOR(pg_catalog.=) ANY(%s::pg_catalog.name[]) AND nspname OPERATOR(pg_catalog.!~) '^pg_'
  AND nspname OPERATOR(pg_catalog.<>) ALL (ARRAY['information_schema', 'public'])
ORDER BY nspname
"""
_USER = re.compile(r'"\$user"|(?<![^\s,])\$user(?![^\s,])')
_NAME = r'"(?:[^"]|"")+"|[^\s,;("]+'
_CUSTOM = re.compile(r"(?:-c\s*|--)(\w+\.[\w.]+)=((?:\\.|\S)*)", re.DOTALL)
_CREATES = re.compile(
    rf"create\s+schema\s+(?P<tolerant>if\s+not\s+exists\s+)?(?:authorization\s+)?(?P<name>{_NAME})", re.IGNORECASE
)
_SETS = re.compile(rb"(?i)\balter\s+(?:role|user|database)\b[^;]*?\b(?:re)?set\s+([\w.]+)")


@dataclass(frozen=True, slots=True)
class Defaults:
    """Settings by name, each as a session shows it, and schemas that have to exist before the first migration.

    `client` comes with the connection and is above what is stored for the database or the role. `later` are stored
    settings that a migration sets, by the id of the last one that does: they hold from there on. `ledger` is the ledger's
    schema, quoted where needed. `roles` are those of the target that the files name and don't make.
    """

    client: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, str] = field(default_factory=dict)
    later: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    schemas: tuple[str, ...] = ()
    ledger: str | None = None
    roles: tuple[str, ...] = ()

    @property
    def timezone(self) -> str | None:
        """The TimeZone that sessions begin with, where it is known."""
        later = (settings.get("timezone") for settings in self.later.values())
        return self.client.get("timezone") or self.stored.get("timezone") or next(filter(None, later), None)

    @property
    def options(self) -> str:
        """Those that come with the connection, as libpq's option of that name takes them."""
        escaped = ((name, value.replace("\\", r"\\").replace(" ", r"\ ")) for name, value in self.client.items())
        return " ".join(f"-c {name}={value}" for name, value in escaped)

    def prepare(self, conninfo: str) -> None:
        """Make the schemas and store the settings in a new scratch database."""
        if not (self.stored or self.schemas):
            return
        with connection.connect(conninfo) as conn:
            for name in self.schemas:
                conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
            there = shown(conn)
            _store(conn, {name: value for name, value in self.stored.items() if there.get(name) != value})

    def set_after(self, conn: Connection, migration_id: str, operation: str) -> None:
        """Store what holds from that migration on, above what the migration itself may have set here; or take it back."""
        settings = self.later.get(migration_id, {})
        if operation == "apply":
            _store(conn, settings, role=conn.info.user)
            return
        for name in settings:
            with suppress(psycopg.Error):  # what was left out
                databases.forget(conn, conn.info.dbname, name, conn.info.user)


NONE = Defaults()
UTC = Defaults({"timezone": "UTC"})


def read(conn: Connection, order: Sequence[Migration], ledger: str | None) -> Defaults:
    """What sessions of the target begin with, for a scratch database that these migrations are applied to; reads only.

    The schemas are those of the search_path that the target has and no migration creates. `ledger` is the schema of the
    target's ledger, quoted where needed.
    """
    values = shown(conn)
    stored = _by_name(text.partition("=")[::2] for (text,) in conn.execute(_STORED))
    stored = {name: value for name, value in stored.items() if name in values or "." in name}
    path = values["search_path"]
    client = {name: value for name, value in values.items() if stored.get(name, value) != value}
    client |= {m[1]: re.sub(r"\\(.)", r"\1", m[2]) for m in _CUSTOM.finditer(conn.info.options)}
    setters = {name: m.id for m in order if m.apply.may_change_defaults for name in _set_by(m.apply)}
    later: dict[str, dict[str, str]] = {}
    for name in stored.keys() & setters.keys() - client.keys():
        later.setdefault(setters[name], {})[name] = stored[name]
    stored = {name: value for name, value in (values | stored).items() if name not in client and name not in setters}
    if user := conn.execute(_USER_SCHEMA).fetchone():
        # The role that logs in on the scratch server is another one.
        path = _USER.sub(lambda _: user[0], path)
        for settings in (client, stored, *later.values()):
            if "search_path" in settings:
                settings["search_path"] = _USER.sub(lambda _: user[0], settings["search_path"])
    home = folded(ledger) if ledger else None
    created = dict(pair for m in order for pair in _created_by(m.apply))
    names = [name for name in map(folded, re.findall(_NAME, path)) if created.get(name) is None or
             (created[name] and name == home)]  # fmt: skip
    schemas = tuple(name for (name,) in conn.execute(_SCHEMAS, [names]))
    ledger = ledger if home in schemas else "public"
    return Defaults(client, stored, later, schemas, ledger, lent.needed(conn, order))


def shown(conn: Connection) -> dict[str, str]:
    """The settings that a new session of this server begins with, as far as they decide what migrations make."""
    return _by_name(conn.execute(_SETTINGS, [list(_NAMES)]))


def _store(conn: Connection, settings: Mapping[str, str], *, role: str | None = None) -> None:
    """Store settings for the database of the session; what the server does not take is left out."""
    for name, value in settings.items():
        with suppress(psycopg.Error):  # a table access method or an extension that is not installed there
            databases.store(conn, conn.info.dbname, name, value, role=role)


def _by_name(pairs: Iterable[tuple[str, ...]]) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs}


def _set_by(file: File) -> set[str]:
    """The settings that a file changes for a role or a database, as far as its text shows."""
    return {name.decode().lower() for name in _SETS.findall(file.data)}


def _created_by(file: File) -> Iterator[tuple[str, bool]]:
    """The schemas that a file creates, as far as its text shows, each with whether it may be there before."""
    if b"schema" not in file.data.lower():
        return
    script = pgyoyo.sql.parser.parse(file.data)
    for statement in script.statements:
        if match := _CREATES.match(script.text(statement).decode(errors="replace")):
            yield folded(match["name"]), match["tolerant"] is not None
