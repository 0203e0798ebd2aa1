"""Roles of a target that its files name and no file makes, as in GRANT … TO: the project's scratch server is lent them.

A role without a login or any right, with a comment that tells it from others: `shared.restored` does not compare it.
Runs may lend one role at once. Each holds an advisory lock of its name, shared, for as long as it needs the role; whoever
gets that lock alone drops it: the last of these runs, or, where that was killed, the next run.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection, sql

from pgyoyo.engine.ledger import key_of
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.scratch import rights
from pgyoyo.sql.lexer import folded, mentioned

_WORDS = (b"grant", b"revoke", b"owner", b"policy", b"role", b"authorization", b"user mapping", b"privileges")
_NAME = rb'"(?:[^"]|"")+"|[a-z_\x80-\xff][\w$\x80-\xff]*'
_LIST = rb"(?:%b)(?:\s*,\s*(?:%b))*" % (_NAME, _NAME)
# Where a role stands; tables are named behind FROM, too, and the target's roles decide.
_PLACE = re.compile(
    rb"(?i)\b(?:to|from|for|by|role|user|authorization)\s+((?:(?:role|group|user|to)\s+)?%b)"
    rb"|\b(?:grant|revoke)\s+(%b)(?=\s+(?:to|from)\b)" % (_LIST, _LIST)
)
_EACH = re.compile(_NAME, re.IGNORECASE)
_MADE = re.compile(rb"(?i)\bcreate\s+(?:role|user|group)\s+(?!mapping\b)(?P<name>%b)?" % _NAME)
_RENAMED = re.compile(rb"(?i)\balter\s+(?:role|user|group)\s+(?:%b)\s+rename\s+to\s+(%b)" % (_NAME, _NAME))
_THERE = """
SELECT rolname FROM pg_catalog.pg_roles
WHERE rolname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]) AND rolname OPERATOR(pg_catalog.!~) '^pg_'
ORDER BY rolname
"""

MARK = "lent by pgyoyo"
_LENT = """
SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.shobj_description(oid, 'pg_authid') OPERATOR(pg_catalog.=) %s
ORDER BY rolname
"""
# A session may have the lock alone though it holds it shared.
_HOLDS = """
SELECT 1 FROM pg_catalog.pg_locks
WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
  AND (classid::bigint OPERATOR(pg_catalog.<<) 32) OPERATOR(pg_catalog.|) objid::bigint OPERATOR(pg_catalog.=) %s
  AND objsubid OPERATOR(pg_catalog.=) 1
"""


def needed(conn: Connection, order: Sequence[Migration]) -> tuple[str, ...]:
    """The roles of the target that files name; none where code makes roles whose names don't stand in a file. Reads only."""
    applied, rollbacks = (
        [file for file in files if file and mentioned(file.data, _WORDS)]
        for files in ((m.apply for m in order), (m.rollback for m in order))
    )
    made = [match["name"] for file in (*applied, *rollbacks) for match in _MADE.finditer(file.data)]
    if None in made:
        return ()
    made += [match[1] for file in applied for match in _RENAMED.finditer(file.data)]
    names = {name for file in (*applied, *rollbacks) for name in _named(file)} - set(map(_text, filter(None, made)))
    return tuple(name for (name,) in conn.execute(_THERE, [sorted(names)])) if names else ()


def _named(file: File) -> Iterator[str]:
    for match in _PLACE.finditer(file.data):
        yield from map(_text, _EACH.findall(match[1] or match[2]))


def _text(name: bytes) -> str:
    return folded(name.decode(errors="replace"))


@contextmanager
def loan(admin: Connection, names: Sequence[str]) -> Iterator[frozenset[str]]:
    """Those of the roles that the project's own server lacks, made for as long as a run needs them, by this one or another.

    Another server is left alone.
    """
    if not names or rights.owner(admin) is None:
        yield frozenset()
        return
    keys = {name: _key(name) for name in names}
    for key in keys.values():
        admin.execute("SELECT pg_catalog.pg_advisory_lock_shared(%s)", [key])
    try:
        there = {name for (name,) in admin.execute(_THERE, [list(names)])}
        for name in [name for name in names if name not in there]:
            # Another run may have made it just now.
            with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation), admin.transaction():
                role = sql.Identifier(name)
                admin.execute(sql.SQL("CREATE ROLE {}; COMMENT ON ROLE {} IS {}").format(role, role, MARK))
        yield frozenset(_marked(admin)) & frozenset(names)
    finally:
        if not admin.closed:
            for key in keys.values():
                admin.execute("SELECT pg_catalog.pg_advisory_unlock_shared(%s)", [key])
            sweep(admin, names)


def sweep(admin: Connection, names: Sequence[str] | None = None) -> None:
    """Drop the roles that were lent, or those of them, and that no run needs; what a database still has stays until later."""
    if rights.owner(admin) is None:
        return
    for name in _marked(admin):
        key = _key(name)
        if (names is not None and name not in names) or admin.execute(_HOLDS, [key]).fetchone():
            continue
        if admin.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [key]).fetchone() != (True,):
            continue
        try:
            role = sql.Identifier(name)
            with (
                suppress(psycopg.errors.DependentObjectsStillExist, psycopg.errors.UndefinedObject),
                admin.transaction(),
            ):
                admin.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))
        finally:
            admin.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [key])


def _marked(admin: Connection) -> list[str]:
    return [name for (name,) in admin.execute(_LENT, [MARK])]


def _key(name: str) -> int:
    return key_of(f"{MARK}\0{name}")
