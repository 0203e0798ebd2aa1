"""The rules about names: what is renamed or moved while clients still use the old name."""

import re
from collections.abc import Sequence

from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import enum
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, listed
from pgyoyo.review.relation_names import bare_name
from pgyoyo.sql import tree

_RELATIONS = ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE")
_OBJECTS = ("FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE", "SCHEMA", "TYPE", "DOMAIN", "SEQUENCE")


def renamed(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Tables, columns and other objects with a new name, unless something has the old name afterwards."""
    left = {table.name: table for table in facts.after.tables.values()}
    for each, node in each_command(evidence):
        kind = tree.kind(node)
        if kind == "AlterEnumStmt" and node.old_val:
            yield each, ("rename-object", f"enum value '{node.old_val}' becomes '{node.new_val}'", None)
        if kind not in ("RenameStmt", "AlterObjectSchemaStmt"):
            continue
        of = enum(node, "rename_type" if kind == "RenameStmt" else "object_type")
        name = each.statement.name.partition(" ")[2] or each.statement.name
        new = (
            node.newname
            if kind == "RenameStmt"
            else f"{node.newschema}.{node.relation.relname or bare_name(name.partition(' ')[2])}"
        )
        table = facts.existing(node.relation) if node.HasField("relation") else None
        if of == "OBJECT_COLUMN" and table:
            stays = left.get(table.name)
            existed = node.subname in {column.name for column in table.columns.values()}
            if existed and (not stays or node.subname not in {column.name for column in stays.columns.values()}):
                what = f"column {node.subname} of {table.name} becomes {new}{in_bodies(node.subname, facts)}"
                yield each, ("rename-column", what, facts.relation(table.oid))
        elif of in _RELATIONS and table:
            if table.name not in left:
                what = f"{table.kind} {table.name} becomes {new}{in_bodies(node.relation.relname, facts)}"
                yield each, ("rename-table", what, facts.relation(table.oid))
        elif of.removeprefix("OBJECT_") in _OBJECTS and _existed(each) and not _replaced(each, evidence):
            yield each, ("rename-object", f"{name} becomes {new}", None)
        elif of == "OBJECT_ATTRIBUTE" and not _is_new_type(each, node.relation.relname):
            yield each, ("rename-object", f"attribute {node.subname} of {node.relation.relname} becomes {new}", None)


def _existed(each: Evidence) -> bool:
    """Whether no earlier statement of the file made the object that it renames."""
    changed = {(change.kind, change.identity) for change in each.statement.changes if change.after is None}
    made = {
        (change.kind, change.identity)
        for earlier in each.before
        for change in earlier.statement.changes
        if change.before is None
    }
    return not changed & made


def _replaced(each: Evidence, evidence: Sequence[Evidence]) -> bool:
    """Whether a later statement gives the old name to another object of the kind."""
    gone = {(change.kind, change.identity) for change in each.statement.changes if change.after is None}
    return any(
        change.before is None and (change.kind, change.identity) in gone
        for later in evidence[len(each.before) + 1 :]
        for change in later.statement.changes
    )


def _is_new_type(each: Evidence, name: str) -> bool:
    """Whether an earlier statement of the file made the type of that bare name."""
    return any(
        change.kind == "type" and change.before is None and bare_name(change.identity) == name
        for earlier in each.before
        for change in earlier.statement.changes
    )


def in_bodies(name: str, facts: Facts, have: str = "have the old name") -> str:
    """Which function bodies still have a name, as the end of a sentence; the server looks at it only when they run."""
    word = re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")
    functions = [signature for signature, body in facts.after.bodies.items() if word.search(body)]
    return f"; the bodies of these functions {have}: {listed(functions)}" if functions else ""


NAMES = (renamed,)
