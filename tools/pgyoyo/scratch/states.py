"""Scratch databases at a point of the history, begun from a state that an earlier run kept.

The state after a row of migrations is kept as a database of the scratch server, named by the checksum of all that it was made
of; a longer history begins from the longest state that is there. States that nobody uses are dropped.
"""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg import Connection, errors, sql

from pgyoyo import __version__
from pgyoyo.engine.ledger import key_of
from pgyoyo.engine.observer import Observer
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import databases, lent, rights, shared
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import NONE, Defaults, shown

PREFIX = "pgyoyo_state_"
KEPT = 8  # states, of 8 MB at least each
UNUSED = timedelta(days=7)
# To apply fewer migrations takes no longer than to copy their state, unless they are big.
WORTH_A_STATE = 10
WORTH_BYTES = 200_000

# What a state's comment says behind the last migration where it has notes: see noted.py.
NOTED = " and what each made"
# The comment ends with the minute of the last use.
_COMMENT = "made by pgyoyo: the state after {}; ledger in {}; last used {:%Y-%m-%d %H:%M}"
_STATES = """
SELECT d.datname, (m.parts)[1], (m.parts)[2], (m.parts)[3] FROM pg_database AS d
CROSS JOIN LATERAL (SELECT regexp_match(shobj_description(d.oid, 'pg_database'),
  '^made by pgyoyo: the state after (.*); ledger in (.*); last used (.*)$') AS parts) AS m
WHERE starts_with(d.datname, %s) AND m.parts IS NOT NULL AND pg_get_userbyid(d.datdba) = current_user
ORDER BY (m.parts)[3] DESC, d.oid DESC
"""


class After(NamedTuple):
    """A scratch database after the first `length` migrations, and the schema of its ledger, if it has one.

    `scratch` ran them, where there were any to run.
    `sees_messages` is what ScratchDatabase knows of its code, if that is known; then it has a ledger.
    """

    conninfo: str
    schema: str | None
    length: int
    sees_messages: bool | None = None
    scratch: ScratchDatabase | None = None


@contextmanager
def database_after(
    admin: Connection,
    order: Sequence[Migration],
    observer: Observer,
    *,
    defaults: Defaults = NONE,
    broken: dict[str, str] | None = None,
    in_use: bool = False,
) -> Iterator["After"]:
    """A scratch database to which these migrations are applied.

    Its sessions begin with `defaults`, where they are ScratchDatabases that are given them. Nobody is connected to it, unless
    it is to be `in_use`; it is dropped at the end. `broken` is that of ScratchDatabase.rebuilding; without it raises
    MigrationError. The state is kept for later runs if none is broken, and nothing outside of the database was changed.
    """
    names = names_of(admin, order, defaults) if order else []
    known, schema = longest(admin, names)
    rest = order[known:]
    with ExitStack() as stack:
        roles = stack.enter_context(lent.loan(admin, defaults.roles))
        try:
            template = names[known - 1] if known else "template0"
            conninfo = stack.enter_context(databases.database(admin, template=template))
        except errors.InvalidCatalogName:  # another run has just swept it
            conninfo, known, rest, schema = stack.enter_context(databases.database(admin)), 0, order, None
        if not known:
            defaults.prepare(conninfo)
        worth = is_worth(rest) and not roles  # they go at the end, and what is kept would need them
        changed_shared = shared.watched(admin, rest) if worth else None
        if not rest:
            yield After(conninfo, schema, len(order))
            return
        scratch = ScratchDatabase(conninfo, observer, schema, defaults=defaults)
        stack.callback(scratch.close)
        scratch.sees_messages = None if known else False  # there is no code in an empty one
        for _ in scratch.rebuilding(rest, broken=broken):
            pass
        schema = scratch.schema_name
        # A state has no note of the rights that its files needed.
        if (here := scratch.as_here(conninfo)) != conninfo:
            conninfo, worth = here, False
        if not in_use or worth:
            scratch.close()
        if worth and changed_shared and schema and not broken and not changed_shared():
            keep(admin, scratch.name, names[-1], order[-1].id, schema)
        yield After(conninfo, schema, len(order), scratch.sees_messages, scratch)


def is_worth(rest: Sequence[Migration]) -> bool:
    """Whether the state after so many more is worth keeping."""
    return len(rest) >= WORTH_A_STATE or sum(len(migration.apply.data) for migration in rest) >= WORTH_BYTES


def names_of(admin: Connection, order: Sequence[Migration], defaults: Defaults) -> list[str]:
    """The name of the state after each of the migrations."""
    info = admin.info
    settings = {**shown(admin), **defaults.stored, **defaults.client}
    later = sorted((name, sorted(values.items())) for name, values in defaults.later.items())
    made = defaults.schemas, defaults.ledger if defaults.schemas else None
    facts = __version__, info.server_version, info.user, rights.owner(admin), sorted(settings.items()), later, made
    digest = hashlib.sha256(repr(facts).encode())
    names = []
    for migration in order:
        for file in (migration.apply, migration.rollback):
            digest.update(migration.hash.encode() + (hashlib.sha256(file.data).digest() if file else b"-"))
        names.append(PREFIX + digest.hexdigest()[:24])
    return names


def longest(admin: Connection, names: Sequence[str], *, noted: bool = False) -> tuple[int, str | None]:
    """How many of the migrations the longest state has, and its ledger's schema; what nobody uses any more is dropped.

    With `noted`, of those that have notes.
    """
    now = datetime.now(UTC)
    known: tuple[int, str | None] = (0, None)
    places = {name: i for i, name in enumerate(names, start=1)}
    for number, (name, last, schema, used) in enumerate(admin.execute(_STATES, [PREFIX]).fetchall()):
        if places.get(name, 0) > known[0] and (last.endswith(NOTED) or not noted):
            known = places[name], schema
            _note_use(admin, name, last, schema)
        elif name not in places and (number >= KEPT or used < f"{now - UNUSED:%Y-%m-%d %H:%M}"):
            _drop(admin, name)
    return known


def keep(admin: Connection, database: str, name: str, last: str, schema: str) -> None:
    """Keep a copy of the database under that name, unless another run was faster, or the server refuses."""
    new = databases.PREFIX + uuid.uuid4().hex[:12]
    key = key_of(new)
    admin.execute("SELECT pg_advisory_lock(%s)", (key,))
    try:
        # Until it has its name it is a scratch database, which the next run drops if this one is killed.
        limits = sql.SQL("ALLOW_CONNECTIONS false CONNECTION LIMIT {}").format(databases.LIMIT)
        databases.clone(admin, database, new, limits)
        _note_use(admin, new, last, schema)
        if last.endswith(NOTED):
            _drop(admin, name)  # which had no notes
        _rename(admin, new, name)
    except psycopg.Error:
        _drop(admin, new)
    finally:
        admin.execute("SELECT pg_advisory_unlock(%s)", (key,))


def _rename(admin: Connection, old: str, new: str) -> None:
    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _note_use(admin: Connection, name: str, last: str, schema: str) -> None:
    comment = _COMMENT.format(last, schema, datetime.now(UTC))
    with suppress(psycopg.Error):  # two runs that write it at once collide; one comment is enough
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), comment))


def _drop(admin: Connection, name: str) -> None:
    with suppress(psycopg.Error):  # another run copies it just now, or it belongs to another role
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
