"""The rules about what is dropped or emptied, and what goes with it."""

import re
from collections.abc import Iterator, Sequence

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import enum
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, listed, maker
from pgyoyo.review.relation_names import bare_name, parts
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_RELATIONS = ("table", "view", "materialized view", "foreign table")
# In the definition of an index or of statistics, as the server writes it.
_OF_TABLE = re.compile(
    r'(?: ON(?: ONLY)?| FROM) ((?:"(?:[^"]|"")*"|[^\s".]+)(?:\.(?:"(?:[^"]|"")*"|[^\s".(]+))?)(?: USING |$)'
)
# Kinds of objects that share their names.
GROUPS = {
    **dict.fromkeys(_RELATIONS, "relation"), "domain": "type",
    **dict.fromkeys(("procedure", "aggregate", "routine"), "function"),
}  # fmt: skip
# The bits of pg_relation_is_updatable.
_WRITES = ((8, "INSERT"), (4, "UPDATE"), (16, "DELETE"))
_CASCADED = (
    *_RELATIONS, "column", "constraint", "function", "procedure", "aggregate", "type", "domain", "trigger", "rule", "policy",
    "cast", "operator",
)  # fmt: skip


def dropped_tables(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Tables and views that are gone afterwards; a view that is made again under its name counts as replaced."""
    there = {table.name for table in facts.after.tables.values()}
    gone = {table.name: table for oid, table in facts.before.tables.items() if oid not in facts.after.tables}
    for each in evidence:
        removed = {change.identity for change in _removed(each) if change.kind in _RELATIONS} & gone.keys()
        parents = {lock.relation.name: lock.relation.table for lock in each.statement.takes}
        for name in sorted(removed):
            table = gone[name]
            if (table.partition and parents.get(name) in removed) or (table.kind.endswith("view") and name in there):
                continue
            rows = "" if table.kind == "view" else " with all its rows"
            parts = [below for below in sorted(removed) if gone[below].partition and parents.get(below) == name]
            rows += f", and so are its partitions {listed(parts)}" if parts else ""
            yield each, ("drop-table", f"{table.kind} {name} is dropped{rows}", facts.relation(table.oid))


def dropped_columns(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Columns that are gone afterwards, of tables that stay, and the indexes and constraints that go with each."""
    for was, now in facts.kept:
        for number in was.columns.keys() - now.columns.keys() if not was.partition else ():
            name = was.columns[number].name
            for each in evidence:
                removed = _removed(each)
                if any(change.kind == "column" and _names(change, was.name, name) for change in removed):
                    more = [
                        f"{c.kind} {c.identity}" for c in removed if c.kind in ("index", "constraint", "statistics")
                    ]
                    what = f"column {name} of {was.name} is dropped with its values"
                    what += f", and with it {listed(more)}" if more else ""
                    yield each, ("drop-column", what, facts.relation(was.oid))
                    break


def dropped_attributes(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """Attributes that a composite type loses, with their values wherever it is the type of a column."""
    for each, node in each_command(evidence):
        if tree.kind(node) != "AlterTableStmt" or enum(node, "objtype") != "OBJECT_TYPE":
            continue
        for command in (item.alter_table_cmd for item in node.cmds):
            if enum(command, "subtype") == "AT_DropColumn" and not _was_made(each, node.relation.relname):
                what = f"attribute {command.name} of type {node.relation.relname} is dropped"
                yield each, ("drop-column", f"{what}, and its value wherever the type is used", None)


def not_writable(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Views that took writes and no longer do, as the server says, replaced ones included."""
    there = {table.name: table for table in facts.after.tables.values()}
    for oid, was in facts.before.tables.items():
        now = facts.after.tables.get(oid) or there.get(was.name)
        if (
            now
            and now.kind == "view"
            and (lost := [word for bit, word in _WRITES if was.writable & bit & ~now.writable])
        ):
            what = f"view {was.name} no longer takes {listed(lost)}"
            yield maker(evidence, was.name), ("view-not-writable", what, facts.relation(oid))


def cascades(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """What a CASCADE drops besides the objects that the statement names."""
    for each in evidence:
        if not any(_cascades(node) for _each, node in each_command([each])):
            continue
        # Those that go with a column stand beside that one.
        kinds = _CASCADED if each.statement.name.startswith("ALTER") else (*_CASCADED, "index", "statistics")
        removed = [change for change in _removed(each) if change.kind in kinds]
        tables = {change.identity for change in removed if change.kind in _RELATIONS}
        named = set(named_in_drop(each))
        more = [
            f"{change.kind} {change.identity}" for change in removed
            if (GROUPS.get(change.kind, change.kind), _own_name(change)) not in named and _table(change) not in tables
            and not (change.kind == "constraint" and ("relation", bare_name(_table(change))) in named)
        ]  # fmt: skip
        more += [f"default of {change.identity.removeprefix('public.')}" for change in _lost_defaults(each)]
        if more:
            yield each, ("drop-cascades", f"it also drops {listed(more, 20)}", None)


def truncates(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """The tables that TRUNCATE … CASCADE empties though the statement doesn't name them."""
    for each in evidence:
        own = [node for _, node in each_command([each]) if tree.kind(node) == "TruncateStmt"]
        if not any(enum(node, "behavior") == "DROP_CASCADE" for node in own):
            continue
        named = {*each.asks.names, *(table.range_var.relname for node in own for table in node.relations)}
        more = [
            table for table in each.statement.work.emptied
            if table.existed and named.isdisjoint(bare_name(name) for name in (table.name, table.table) if name)
        ]  # fmt: skip
        if more:
            names = listed([table.name for table in more], 20)
            yield each, ("truncate-cascade", f"it also removes all rows of {names}", more[0])


def _was_made(each: Evidence, name: str) -> bool:
    """Whether an earlier statement of the file made the type of that bare name."""
    return any(
        change.kind == "type" and change.before is None and bare_name(change.identity) == name
        for earlier in each.before
        for change in earlier.statement.changes
    )


def _cascades(node: Node) -> bool:
    if tree.kind(node) == "AlterTableStmt":
        return any(enum(command.alter_table_cmd, "behavior") == "DROP_CASCADE" for command in node.cmds)
    kinds = ("DropStmt", "DropOwnedStmt", "AlterDomainStmt")
    return tree.kind(node) in kinds and enum(node, "behavior") == "DROP_CASCADE"


def _lost_defaults(each: Evidence) -> list[Change]:
    """The columns whose default went with what a DROP names."""
    if not each.statement.name.startswith("DROP"):
        return []
    columns = [
        change for change in each.statement.changes if change.kind == "column" and change.before and change.after
    ]
    return [c for c in columns if "\nDEFAULT " in str(c.before) and "\nDEFAULT " not in str(c.after)]


def _removed(each: Evidence) -> list[Change]:
    return [change for change in each.statement.changes if change.after is None]


def named_in_drop(each: Evidence) -> Iterator[tuple[str, str]]:
    """What a statement itself drops: the group of its kind, and its bare name."""
    for _, node in each_command([each]):
        if tree.kind(node) == "AlterTableStmt":
            yield "relation", node.relation.relname
            for command in node.cmds:
                kind = enum(command.alter_table_cmd, "subtype").removeprefix("AT_Drop").lower()
                yield kind, command.alter_table_cmd.name
        if tree.kind(node) == "DropStmt":
            kind = enum(node, "remove_type").removeprefix("OBJECT_").replace("_", " ").lower()
            for dropped in map(tree.unwrap, node.objects):
                field = {"ObjectWithArgs": "objname", "TypeName": "names", "List": "items"}.get(tree.kind(dropped))
                last = getattr(dropped, field)[-1].string if field else dropped
                yield GROUPS.get({"matview": "materialized view"}.get(kind, kind), kind), last.sval


def _names(change: Change, table: str, column: str) -> bool:
    *_, of, name = parts(change.identity)
    return name == column and of == bare_name(table)


def _own_name(change: Change) -> str:
    """The bare name of what was removed."""
    return bare_name(change.identity.split(" on ")[0].split("(")[0])


def _table(change: Change) -> str:
    """The table that a removed object was part of, as the server quotes it; empty for one of no table."""
    if change.kind == "column":
        return change.identity.rpartition(".")[0]
    if change.kind in ("index", "statistics"):
        match = _OF_TABLE.search(change.before or "")
        return match[1] if match else ""
    return change.identity.rpartition(" on ")[2] if " on " in change.identity else ""


DROPS = (dropped_tables, dropped_columns, dropped_attributes, not_writable, cascades, truncates)
