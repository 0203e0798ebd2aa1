"""Roles that migrations make, which all databases of a server share: made once, by the first template that has them.

A role without a login, named after the template, is made a member of each: it keeps them apart from roles that others made,
and they are dropped with the last template that has them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg
from psycopg import Connection, sql

from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch.present_roles import Roles

# The roles of a template, and whether another one has them too.
_OF_TEMPLATE = """
SELECT r.rolname, EXISTS (SELECT FROM pg_auth_members AS b JOIN pg_roles AS o ON o.oid = b.member
                          WHERE b.roleid = r.oid AND o.oid <> m.oid AND starts_with(o.rolname, %s))
FROM pg_auth_members AS a JOIN pg_roles AS m ON m.oid = a.member JOIN pg_roles AS r ON r.oid = a.roleid WHERE m.rolname = %s
"""


def note(admin: Connection, template: str, migrations: Sequence[Migration], before: Roles, made: Sequence[str]) -> None:
    """Give the template the roles that were made for it, and those of other templates that its files make too."""
    texts = [file.data for m in migrations for file in (m.apply, m.rollback) if file]
    shared = [name for name, ours in before.items() if ours and any(name.encode() in text for text in texts)]
    names = [name for name in (*made, *shared) if name != admin.info.user]
    if names:
        if not admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [template]).rowcount:
            admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(template)))
        roles = sql.SQL(", ").join(map(sql.Identifier, names))
        admin.execute(sql.SQL("GRANT {} TO {}").format(roles, sql.Identifier(template)))


def sweep(admin: Connection, prefix: str, drop: Callable[[str], None]) -> None:
    """Call `drop` for each template that has roles, but no database any more."""
    query = """SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)
        AND NOT EXISTS (SELECT FROM pg_database WHERE starts_with(datname, rolname))"""
    for (name,) in admin.execute(query, [prefix]).fetchall():
        drop(name)


def drop(admin: Connection, template: str, prefix: str) -> None:
    """Drop the roles that only this template has; where a clone still needs one, a later run does."""
    rows = admin.execute(_OF_TEMPLATE, [prefix, template]).fetchall()
    kept = False
    for name in [name for name, shared in rows if not shared]:
        try:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
        except psycopg.Error:
            kept = True
    if not kept:
        with suppress(psycopg.Error):  # another run has just dropped it
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(template)))
