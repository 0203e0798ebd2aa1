"""The rules about who may see and do what: row security and privileges."""

from collections.abc import Iterator, Sequence

from pgyoyo.review.catalog_facts import Facts, Table
from pgyoyo.review.commands import enum, settings
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, listed, maker
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_WRITES = ("UpdateStmt", "DeleteStmt", "MergeStmt")
_READS = ("InsertStmt", "SelectStmt", "CopyStmt", "CreateTableAsStmt")


def hidden_rows(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Row security without a policy, and row security that binds the owner too."""
    for was, now in facts.kept:
        if now.hides_all and not was.hides_all:
            how = "is switched on without a policy" if not was.secured else "stays on without a policy"
            what = f"row security of {was.name} {how}: nobody but its owner and superusers sees a row"
            yield _securing(evidence, was), ("row-security-without-policy", what, facts.relation(was.oid))
        if now.forced and now.secured and not (was.forced and was.secured):
            what = f"the policies of {was.name} bind its owner too, which runs the migrations"
            yield _securing(evidence, was), ("force-row-security", what, facts.relation(was.oid))


def writes_under_policies(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Statements whose rows the policies of a table may choose, though the file doesn't say so."""
    forced = {oid for oid, table in facts.before.tables.items() if table.forced and table.secured}
    secured = {oid for oid, table in facts.before.tables.items() if table.secured}
    other_role = checked = False
    for each, node in each_command(evidence):
        for setting, value in settings(node):
            if setting in ("role", "session_authorization"):
                other_role = value not in ("", "none")
            elif setting == "row_security":
                checked = value in ("off", "false", "no", "0")
        for command in getattr(node, "cmds", ()) if tree.kind(node) == "AlterTableStmt" else ():
            table = facts.named(node.relation.relname, node.relation.schemaname)
            change = enum(command.alter_table_cmd, "subtype")
            if table and change in ("AT_NoForceRowSecurity", "AT_DisableRowSecurity"):
                forced.discard(table.oid)
            elif table and change == "AT_ForceRowSecurity":
                forced.add(table.oid)
        if checked or tree.kind(node) not in (*_WRITES, *_READS, "CallStmt"):
            continue
        named = list(filter(None, (facts.named(name.relname, name.schemaname) for name in _tables(node))))
        for table in (*named, *_behind(each, node, named, facts)):
            if table.oid in (secured if other_role else forced) and table.oid in facts.before.tables:
                whose = "the role that the file sets" if other_role else "the owner too (FORCE)"
                what = f"the policies of {table.name} choose its rows, for {whose}"
                yield each, ("hidden-by-policy", what, facts.relation(table.oid))
                break


def revokes(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """Privileges and memberships that are taken away, but for those on what the migration makes."""
    for each, node in each_command(evidence):
        if tree.kind(node) == "GrantRoleStmt" and not node.is_grant:
            roles = [grant.access_priv.priv_name for grant in node.granted_roles]
            members = [_role(role) for role in node.grantee_roles]
            yield each, ("revoke", f"{listed(members)} can no longer act as {listed(roles)}", None)
        if tree.kind(node) != "GrantStmt" or node.is_grant or enum(node, "targtype") == "ACL_TARGET_DEFAULTS":
            continue
        rights = listed([item.access_priv.priv_name.upper() for item in node.privileges]) or "ALL"
        lost = [c.identity for c in each.statement.changes if c.kind == "privilege" and _existed(each, c.identity)]
        if lost:
            losers = listed([_role(role) for role in node.grantees])
            option = "the right to grant " if node.grant_option else ""
            yield each, ("revoke", f"{losers} loses {option}{rights} on {listed(_objects(lost))}", None)


def opened(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """Privileges that every role gets, on what was there or on all that a role makes from now on; and defaults besides."""
    for each, node in each_command(evidence):
        if tree.kind(node) == "AlterDefaultPrivilegesStmt":
            yield from _defaults(each, node)
        if tree.kind(node) != "GrantStmt" or not node.is_grant or enum(node, "targtype") == "ACL_TARGET_DEFAULTS":
            continue
        if "PUBLIC" in map(_role, node.grantees):
            more = [c for c in each.statement.changes if c.kind == "privilege" and c.identity.endswith(" to PUBLIC")]
            gained = [c.identity for c in more if _gains(c.before, c.after) and _existed(each, c.identity)]
            if gained:
                rights = listed([item.access_priv.priv_name.upper() for item in node.privileges]) or "ALL"
                yield each, ("grant-to-public", f"every role gets {rights} on {listed(_objects(gained))}", None)


def _defaults(each: Evidence, node: Node) -> Judged:
    action = node.action
    things = enum(action, "objtype").removeprefix("OBJECT_").lower() + "s"
    options = {item.def_elem.defname: item.def_elem.arg.list.items for item in node.options}
    makers = [role.role_spec.rolename or "the role that runs it" for role in options.get("roles", ())]
    whose = listed(makers) or "the role that runs the migration"
    schemas = listed([item.string.sval for item in options.get("schemas", ())])
    where = f"{things} that {whose} makes from now on" + (f" in schema {schemas}" if schemas else "")
    rights = listed([item.access_priv.priv_name.upper() for item in action.privileges]) or "ALL"
    roles = [_role(role) for role in action.grantees]
    if action.is_grant and "PUBLIC" in roles:
        yield each, ("grant-to-public", f"every role gets {rights} on {where}", None)
    verb = "get" if action.is_grant else "lose"
    word = f"{listed(roles)} {verb}{'s' if len(roles) == 1 else ''} {rights} on {where}"
    yield each, ("default-privileges", f"{word}; those that are there stay as they are", None)


def _gains(before: str | None, after: str | None) -> bool:
    """Whether PUBLIC has more; a row tells what differs from the privileges of a new object."""
    was, now = (set((text or "").split("\n")) - {"", "ALL REVOKED"} for text in (before, after))
    return bool(now - was) if after else before == "ALL REVOKED"


def _securing(evidence: Sequence[Evidence], table: Table) -> Evidence:
    """The statement that changes the row security of a table."""
    for each, node in each_command(evidence):
        if tree.kind(node) == "AlterTableStmt" and f".{node.relation.relname}" in f".{table.name}".replace('"', ""):
            changes = {enum(command.alter_table_cmd, "subtype") for command in node.cmds}
            if any(change.endswith("RowSecurity") for change in changes):
                return each
    return maker(evidence, table.name)


def _tables(node: Node) -> Iterator[Node]:
    """The tables whose rows a command changes or reads; an INSERT's own table has no rows to be hidden."""
    own = node.relation if tree.kind(node) == "InsertStmt" else None
    for part in tree.walk(node):
        if tree.kind(part) == "RangeVar" and (own is None or part.location != own.location):
            yield part


def _behind(each: Evidence, node: Node, named: Sequence[Table], facts: Facts) -> list[Table]:
    """The tables whose rows a command reaches through a view, or changes by a function that it calls."""
    by_name = {table.name: table for table in facts.before.tables.values()}
    views = any(table.kind == "view" for table in named)
    calls = tree.kind(node) in ("SelectStmt", "CallStmt")
    locks = [lock for lock in each.statement.takes if views or (calls and lock.mode == "ROW EXCLUSIVE")]
    return [by_name[lock.relation.name] for lock in locks if lock.relation.name in by_name]


def _existed(each: Evidence, identity: str) -> bool:
    """Whether the object of a privilege is not made by the same file."""
    made = {
        f"{change.kind} {change.identity}"
        for earlier in each.before
        for change in earlier.statement.changes
        if change.before is None
    }
    return not any(name in identity for name in made)


def _objects(identities: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(identity.partition(" to ")[0].removeprefix("on ") for identity in identities))


def _role(node: Node) -> str:
    role = node.role_spec
    return role.rolename or enum(role, "roletype").removeprefix("ROLESPEC_")


SECURITY = (hidden_rows, writes_under_policies, revokes, opened)
