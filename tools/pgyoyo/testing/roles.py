"""Roles that migrations make, which all databases of a server share: made once, by the first template that has them.

A role without a login, named after the template, is made a member of each: it keeps them apart from roles that others made,
and they are dropped with the last template that has them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection, sql

import pgyoyo.sql
from pgyoyo.identifiers import quoted
from pgyoyo.migrations.migration import File, Folders, Migration

# CREATE USER MAPPING is read in vain.
_MENTIONED = re.compile(rb"(?i)\b(?:create|drop)\s+(?:role|user|group)\b")
# In the body of a DO, as its own statement or as the text of an EXECUTE.
_IN_BODY = re.compile(
    r"""(?isx) (\bbegin\s+|;\s*|\bthen\s+|\belse\s+)
    (?: (?:create|drop)\s+(?:role|user|group)\s+(?:if\s+exists\s+)?("[^"]+"|\w+) (?:[^;']|'(?:[^']|'')*')* (?=;)
      | execute\s+'(?:create|drop)\s+(?:role|user|group)\s+(?:if\s+exists\s+)?("[^"]+"|\w+) (?:[^']|'')* '\s* (?=;) )"""
)
_ATTRIBUTES = {
    "canlogin": "LOGIN", "superuser": "SUPERUSER", "inherit": "INHERIT", "createrole": "CREATEROLE", "createdb": "CREATEDB",
    "isreplication": "REPLICATION", "bypassrls": "BYPASSRLS",
}  # fmt: skip
_ROLES = """
SELECT r.rolname, r.rolcanlogin, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,
  EXISTS (SELECT FROM pg_auth_members AS a JOIN pg_roles AS m ON m.oid = a.member
          WHERE a.roleid = r.oid AND starts_with(m.rolname, %s))
FROM pg_roles AS r
"""
# The roles of a template, and whether another one has them too.
_OF_TEMPLATE = """
SELECT r.rolname, EXISTS (SELECT FROM pg_auth_members AS b JOIN pg_roles AS o ON o.oid = b.member
                          WHERE b.roleid = r.oid AND o.oid <> m.oid AND starts_with(o.rolname, %s))
FROM pg_auth_members AS a JOIN pg_roles AS m ON m.oid = a.member JOIN pg_roles AS r ON r.oid = a.roleid WHERE m.rolname = %s
"""

# By name, the attributes of a role that templates have, in the order of _ATTRIBUTES; None for a role that others made.
Roles = Mapping[str, Sequence[bool] | None]


def are_made_by(migrations: Sequence[Migration]) -> bool:
    """Whether a file, as far as its text shows, makes or drops a role."""
    return any(_MENTIONED.search(file.data) for m in migrations for file in (m.apply, m.rollback) if file)


def on_server(admin: Connection, prefix: str) -> Roles:
    """The roles that are there now; the names of templates begin with `prefix`."""
    return {name: values if ours else None for name, *values, ours in admin.execute(_ROLES, [prefix]).fetchall()}


def beside(folders: Folders, roles: Roles) -> Folders:
    """The same migrations for a server that has these roles already: they are neither made nor dropped.

    One that templates have gets the attributes that CREATE ROLE gives it. Checksums remain those of the files on disk.
    """

    def changed(migrations: Sequence[Migration]) -> tuple[Migration, ...]:
        return tuple(
            m._replace(apply=_beside(m.apply, roles), rollback=m.rollback and _beside(m.rollback, roles))
            for m in migrations
        )

    return Folders(changed(folders.migrations), changed(folders.hooks), folders.warnings)


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


def _beside(file: File, roles: Roles) -> File:
    if not _MENTIONED.search(file.data):
        return file
    data = bytearray(file.data)
    script = pgyoyo.sql.parser.parse(file.data, transactional=file.header.transactional)
    for statement in reversed([part for whole in script.statements for part in whole.parts]):
        text = file.data[statement.start : statement.end].decode(errors="replace")
        node = pgyoyo.sql.tree.parse(text) if _MENTIONED.search(text.encode()) else None
        replaced = _replaced(pgyoyo.sql.tree.kind(node), node, text, roles)
        if replaced is not None:
            # What comes behind stays on its line.
            lines = "\n" * (text.count("\n") - replaced.count("\n"))
            data[statement.start : statement.end] = (replaced + lines).encode()
    return file._replace(data=bytes(data))


def _replaced(kind: str, node: Any, text: str, roles: Roles) -> str | None:
    """What runs in the place of a statement; None: itself."""
    match kind:
        case "CreateRoleStmt" if node.role in roles:
            return "; ".join(_as_created(node, roles[node.role]))
        case "DropRoleStmt":
            names = [role.role_spec.rolename for role in node.roles]
            rest = [quoted(name) for name in names if name not in roles]
            if len(rest) == len(names):
                return None
            return f"DROP ROLE {'IF EXISTS ' if node.missing_ok else ''}{', '.join(rest)}" if rest else ""
        case "DoStmt":
            return _IN_BODY.sub(lambda match: _in_body(match, roles), text)
    return None


def _in_body(match: re.Match[str], roles: Roles) -> str:
    name = match[2] or match[3]
    name = name[1:-1] if name.startswith('"') else name.lower()
    return f"{match[1]}NULL" + "\n" * match[0][len(match[1]) :].count("\n") if name in roles else match[0]


def _as_created(node: Any, attributes: Sequence[bool] | None) -> Iterator[str]:
    """What gives a role that is there what its CREATE ROLE does: only what differs, since some need a superuser."""
    if attributes is None:
        return
    given = {option.def_elem.defname: option.def_elem.arg for option in node.options}
    role, is_user = quoted(node.role), node.stmt_type == 2  # ROLESTMT_USER
    wanted = {"canlogin": is_user, "inherit": True} | {
        name: _is_on(given[name]) for name in _ATTRIBUTES if name in given
    }
    words = [
        word if wanted.get(name, False) else f"NO{word}"
        for (name, word), now in zip(_ATTRIBUTES.items(), attributes, strict=True)
        if wanted.get(name, False) != now
    ]
    if "password" in given:
        words.append(
            f"PASSWORD {_literal(given['password'].string.sval) if given['password'].HasField('string') else 'NULL'}"
        )
    if words:
        yield f"ALTER ROLE {role} {' '.join(words)}"
    for option, text in (("addroleto", "GRANT {1} TO {0}"), ("rolemembers", "GRANT {0} TO {1}"),
                         ("adminmembers", "GRANT {0} TO {1} WITH ADMIN OPTION")):  # fmt: skip
        if option in given:
            others = ", ".join(quoted(item.role_spec.rolename) for item in given[option].list.items)
            yield text.format(role, others)


def _is_on(value: Any) -> bool:
    return bool(value.boolean.boolval if value.HasField("boolean") else value.integer.ival)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
