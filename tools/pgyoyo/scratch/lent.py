"""Roles of a target that its files name and no file makes, as in GRANT … TO: the embedded server is lent them meanwhile.

A role without a login or any right, with a comment that tells it from others. What `shared.restored` compares has it as new
and made by this process, so it goes at the end.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

import psycopg
from psycopg import Connection, sql

from pgyoyo.migrations.migration import File, Migration
from pgyoyo.scratch import rights, shared
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

_MARK = "lent by pgyoyo"
_LENT = """
SELECT rolname FROM pg_catalog.pg_roles
WHERE rolname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[])
  AND pg_catalog.shobj_description(oid, 'pg_authid') OPERATOR(pg_catalog.=) %s::pg_catalog.text
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


def lend(admin: Connection, names: Sequence[str]) -> frozenset[str]:
    """Make those of the roles that the embedded server lacks; all of them that are lent, also by a run that was killed.

    Another server is left alone.
    """
    if not names or rights.owner(admin) is None:
        return frozenset()
    there = {name for (name,) in admin.execute(_THERE, [list(names)])}
    for name in names:
        if name in there:
            continue
        # Another run may have made it just now.
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation), admin.transaction():
            role = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE ROLE {}; COMMENT ON ROLE {} IS {}").format(role, role, _MARK))
            shared.note_transaction(admin)
    return frozenset(name for (name,) in admin.execute(_LENT, [list(names), _MARK]))
