"""Files as they run on a server that has their roles already, and that connects to no other one.

Roles belong to all databases of a server: to those of tests, which the plugin keeps, and to others'. A file that makes one
in a further database only gives it what its CREATE ROLE does; one that drops or renames it lets the others keep it. A
subscription would connect to the publisher that the target has, and make or drop a slot there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg import Connection

import pgyoyo.sql
from pgyoyo.console import Console
from pgyoyo.identifiers import quoted
from pgyoyo.migrations import plan
from pgyoyo.migrations.migration import File, Folders, Migration
from pgyoyo.queries import named

TEMPLATE = "pgyoyo_template_"  # the names of the databases that the plugin clones, and of what marks their roles
_NOUN = r"(?:role|user|group)"
# CREATE USER MAPPING is read in vain.
_MENTIONED = re.compile(rb"(?i)\b(?:create|drop|alter)\s+(?:role|user|group)\b")
_MADE = rb'(?i)\b(?:role|user|group|rename\s+to)\s+(?:if\s+exists\s+)?"?%s\b'
_SUBSCRIPTION = re.compile(rb"(?i)\b(?:create|alter|drop|comment\s+on)\s+subscription\b")
_NAME = r'("[^"]+"|\w+)'
_TEXT = r"(?:[^;']|'[^']*')*"  # two quotes end one literal and begin the next
# In the body of a DO, as its own statement, as the text of an EXECUTE, or with a name that is put together there.
_IN_BODY = re.compile(
    rf"""(?isx) (\bbegin\s+|;\s*|\bthen\s+|\belse\s+|\bloop\s+)
    (?: alter\s+{_NOUN}\s+{_NAME}\s+rename\s+to\s+{_NAME}\s*(?=;)
      | execute\s+'alter\s+{_NOUN}\s+{_NAME}\s+rename\s+to\s+{_NAME}\s*'\s*(?=;)
      | (?:create|drop)\s+{_NOUN}\s+(?:if\s+exists\s+)?{_NAME} {_TEXT} (?=;)
      | execute\s+'(?:create|drop)\s+{_NOUN}\s+(?:if\s+exists\s+)?{_NAME} (?:[^']|'')* '\s* (?=;)
      | execute\s+(?:format\s*\(\s*)?'(create|drop)\s+{_NOUN}\s (?:[^']|'')*' {_TEXT} (?=;) )"""
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
_TAKE_OVER = Path(__file__).with_name("take_over.sql")

# By name, the attributes of a role that templates have, in the order of _ATTRIBUTES; None for a role that others made.
Roles = Mapping[str, Sequence[bool] | None]


def are_made_by(migrations: Iterable[Migration]) -> bool:
    """Whether a file, as far as its text shows, makes, changes or drops a role."""
    return any(_MENTIONED.search(file.data) for m in migrations for file in (m.apply, m.rollback) if file)


def those_of(admin: Connection, migrations: Iterable[Migration]) -> Roles:
    """The roles that are there now, if the migrations make, change or drop any."""
    return on_server(admin) if are_made_by(migrations) else {}


def on_server(admin: Connection) -> Roles:
    """The roles that are there now."""
    return {name: values if ours else None for name, *values, ours in admin.execute(_ROLES, [TEMPLATE]).fetchall()}


def left_alone(migrations: Sequence[Migration], roles: Roles, console: Console) -> tuple[Migration, ...]:
    """The same migrations, in the order of applying, for a server that has these roles; a note names those that they make."""
    changed = tuple(_beside(migrations, roles))
    pairs = [(each, now) for each, now in zip(migrations, changed, strict=True) if each != now]
    texts = [file.data for each, _ in pairs for file in (each.apply, each.rollback) if file]
    names = sorted(name for name in roles if any(re.search(_MADE % re.escape(name.encode()), text) for text in texts))
    if names:
        console.note(
            f"on the scratch server already, so neither made nor dropped there: {', '.join(f'role {name}' for name in names)}"
        )
    if any(_SUBSCRIPTION.search(file.data) for each, _ in pairs for file in (each.apply, each.rollback) if file):
        console.note(
            "statements about subscriptions are left out on the scratch server, which connects to no publisher"
        )
    return changed


def folders_left_alone(admin: Connection, folders: Folders, console: Console) -> Folders:
    """The same folders, as `left_alone`, their migrations in the order of applying; raises as plan.order."""
    every = left_alone((*plan.order(folders.migrations), *folders.hooks), those_of(admin, folders.migrations), console)
    count = len(folders.migrations)
    return Folders(every[:count], every[count:], folders.warnings)


def beside(folders: Folders, roles: Roles) -> Folders:
    """The same migrations for a server that has these roles already: they are neither made, renamed nor dropped.

    One that templates have gets the attributes that CREATE ROLE gives it. Checksums remain those of the files on disk. The
    migrations have to stand in the order of applying: a role that is made twice fails as it does elsewhere.
    """
    every = tuple(_beside([*folders.migrations, *folders.hooks], roles))
    count = len(folders.migrations)
    return Folders(every[:count], every[count:], folders.warnings)


def statements(file: File, roles: Roles) -> dict[int, str]:
    """What runs in the place of statements of a file, by where they begin in it."""
    return dict(_statements(file, roles, set()))


def _beside(migrations: Iterable[Migration], roles: Roles) -> Iterator[Migration]:
    made: set[str] = set()
    for m in migrations:
        apply = _file_beside(m.apply, roles, made)
        yield m._replace(apply=apply, rollback=m.rollback and _file_beside(m.rollback, roles, set(made)))


def _file_beside(file: File, roles: Roles, made: set[str]) -> File:
    replaced = dict(_statements(file, roles, made))
    if not replaced:
        return file
    data = bytearray(file.data)
    script = pgyoyo.sql.parser.parse(file.data, transactional=file.header.transactional)
    for statement in reversed([part for whole in script.statements for part in whole.parts]):
        if statement.start in replaced:
            # What comes behind stays on its line.
            text = replaced[statement.start]
            lines = "\n" * (file.data.count(b"\n", statement.start, statement.end) - text.count("\n"))
            data[statement.start : statement.end] = (text + lines).encode()
    return file._replace(data=bytes(data))


def _statements(file: File, roles: Roles, made: set[str]) -> Iterator[tuple[int, str]]:
    """Each statement that another one replaces; `made`: the roles that these files have made by now."""
    if not (_MENTIONED.search(file.data) or _SUBSCRIPTION.search(file.data)):
        return
    script = pgyoyo.sql.parser.parse(file.data, transactional=file.header.transactional)
    for statement in [part for whole in script.statements for part in whole.parts]:
        text = file.data[statement.start : statement.end].decode(errors="replace")
        is_meant = _MENTIONED.search(text.encode()) or _SUBSCRIPTION.search(text.encode())
        node = pgyoyo.sql.tree.parse(text) if is_meant else None
        replaced = _replaced(pgyoyo.sql.tree.kind(node), node, text, roles, made)
        if replaced is not None and replaced != text:
            yield statement.start, replaced


def _replaced(kind: str, node: Any, text: str, roles: Roles, made: set[str]) -> str | None:
    """What runs in the place of a statement; None: itself."""
    match kind:
        case "CreateSubscriptionStmt" | "AlterSubscriptionStmt" | "DropSubscriptionStmt":
            return "SELECT"
        case "CommentStmt" | "AlterOwnerStmt" | "RenameStmt" if pgyoyo.sql.tree.is_about_subscription(node):
            return "SELECT"
        case "CreateRoleStmt":
            is_again = node.role in made
            made.add(node.role)
            return "; ".join(_as_created(node, roles[node.role])) if node.role in roles and not is_again else None
        case "DropRoleStmt":
            names = [role.role_spec.rolename for role in node.roles]
            made.difference_update(names)
            rest = [quoted(name) for name in names if name not in roles]
            if len(rest) == len(names):
                return None
            return f"DROP ROLE {'IF EXISTS ' if node.missing_ok else ''}{', '.join(rest)}" if rest else ""
        case "RenameStmt" if pgyoyo.sql.tree.renames_role(node):
            is_again = node.newname in made
            made.discard(node.subname)
            made.add(node.newname)
            return None if is_again else _renamed(node.subname, node.newname, roles)
        case "DoStmt":
            made.clear()  # what it made is not known
            return _IN_BODY.sub(lambda match: _in_body(match, roles), text)
    return None


def _renamed(old: str, new: str, roles: Roles) -> str | None:
    """What stands in the place of ALTER ROLE … RENAME; None where neither name is there."""
    if old not in roles and new not in roles:
        return None
    values = {
        "old": _literal(old), "new": _literal(new), "templates": _literal(TEMPLATE),
        "like": "true" if roles.get(new, ()) is not None else "false", "gone": "false" if old in roles else "true",
    }  # fmt: skip
    text = " ".join(named(_TAKE_OVER)["take_over"].split())
    return re.sub(r"(?<!:):(old|new|templates|like|gone)\b", lambda match: values[match[1]], text)


def _in_body(match: re.Match[str], roles: Roles) -> str:
    before, whole = match[1], match[0][len(match[1]) :]
    old, new, name = match[2] or match[4], match[3] or match[5], match[6] or match[7]
    if old:
        takes = _renamed(_unquoted(old), _unquoted(new), roles)
        replaced = f"EXECUTE {_literal(takes)}" if takes else None
    elif name:
        replaced = "NULL" if _unquoted(name) in roles else None
    elif not any(roles.values()):
        replaced = None
    elif match[8].lower() == "drop":
        replaced = "NULL"
    else:
        replaced = f"BEGIN {whole}; EXCEPTION WHEN duplicate_object THEN NULL; END"
    if replaced is None:
        return match[0]
    return before + replaced + "\n" * (whole.count("\n") - replaced.count("\n"))


def _unquoted(name: str) -> str:
    return name[1:-1] if name.startswith('"') else name.lower()


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
