"""What a statement is to do, by PostgreSQL's parser: the relations it names, and why it may lock, scan or rewrite."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_SERIAL = frozenset(("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"))

# The words for ALTER TABLE subcommands; those left out change only the catalog.
_SUBCOMMANDS = {
    "AT_ValidateConstraint": "validate", "AT_SetNotNull": "set not null", "AT_AlterColumnType": "column type",
    "AT_SetLogged": "storage", "AT_SetUnLogged": "storage", "AT_SetAccessMethod": "storage", "AT_SetTableSpace": "storage",
    "AT_AttachPartition": "attach partition", "AT_DetachPartition": "detach partition", "AT_AddIdentity": "identity",
}  # fmt: skip
_CONSTRAINTS = {
    "CONSTR_CHECK": "check", "CONSTR_UNIQUE": "unique", "CONSTR_PRIMARY": "primary key", "CONSTR_FOREIGN": "foreign key",
    "CONSTR_EXCLUSION": "exclusion", "CONSTR_NOTNULL": "not null", "CONSTR_DEFAULT": "default", "CONSTR_IDENTITY": "identity",
    "CONSTR_GENERATED": "generated",
}  # fmt: skip
_STATEMENTS = {
    "UpdateStmt": "update", "DeleteStmt": "delete", "MergeStmt": "update", "DoStmt": "code",
    "CallStmt": "code", "ExecuteStmt": "select", "CopyStmt": "copy", "TruncateStmt": "truncate", "LockStmt": "lock",
    "ClusterStmt": "storage", "CreateTableAsStmt": "into", "AlterObjectSchemaStmt": "move",
}  # fmt: skip
_RELATIONS = frozenset(f"OBJECT_{kind}" for kind in ("TABLE", "VIEW", "MATVIEW", "FOREIGN_TABLE", "INDEX", "SEQUENCE"))
_FIRST_WORDS = {b"UPDATE": "update", b"MERGE": "update", b"DELETE": "delete", b"INSERT": "insert", b"DO": "code"}
# A WITH may hold another command.
_NESTED = frozenset(("UpdateStmt", "MergeStmt", "DeleteStmt"))


@dataclass(frozen=True, slots=True)
class Intent:
    """The relations that a statement names, without their schemas, and what it wants done, in words.

    The words are those of the tables above: "add column", "add check", "check not valid", "set not null", "update", "index".
    A statement that can't be parsed has one at most. `renames` is the new name of its target, if it gets one.
    """

    names: tuple[str, ...] = ()
    wants: frozenset[str] = frozenset()
    target: str | None = None
    renames: str | None = None

    def any(self, *words: str) -> bool:
        """Whether it wants any of these."""
        return not self.wants.isdisjoint(words)

    def called(self, first: Mapping[str, str]) -> "Intent":
        """The same with the first names of relations that an earlier statement renamed."""
        if not first:
            return self
        target = first.get(self.target, self.target) if self.target else None
        return replace(self, names=tuple(first.get(name, name) for name in self.names), target=target)


@lru_cache(maxsize=1024)
def intent_of(text: bytes) -> Intent:
    """What a statement names and wants done, by its parse tree."""
    statement = tree.parse(text.decode())
    if statement is None:
        # Too long or too deep to be parsed: the first word is enough.
        first = _FIRST_WORDS.get(text[:7].split()[0].upper()) if text.strip() else None
        return Intent(wants=frozenset([first] if first else []))
    relation = getattr(statement, "relation", None)
    target = getattr(relation, "relname", None) or None
    parts = list(tree.walk(statement))
    names = dict.fromkeys(name for part in parts for name in _named(part))
    nested = {_STATEMENTS[kind] for part in parts[1:] if (kind := tree.kind(part)) in _NESTED}
    locks = {"for update" for part in parts if tree.kind(part) == "LockingClause"}
    wants = frozenset(_wants(statement)) | nested | locks
    renames = statement.newname if "rename relation" in wants else None
    return Intent(tuple(names), wants, target, renames)


def _wants(statement: Node) -> Iterator[str]:
    match kind := tree.kind(statement):
        case "AlterTableStmt":
            for command in statement.cmds:
                yield from _subcommand(command.alter_table_cmd)
        case "IndexStmt":
            yield "index concurrently" if statement.concurrent else "index"
        case "ReindexStmt":
            concurrently = any(option.def_elem.defname == "concurrently" for option in statement.params)
            yield "reindex concurrently" if concurrently else "reindex"
        case "DropStmt":
            yield _drop(statement)
        case "VacuumStmt":
            full = any(option.def_elem.defname == "full" for option in statement.options)
            yield "storage" if full else "vacuum"
        case "RefreshMatViewStmt":
            yield "refresh concurrently" if statement.concurrent else "refresh"
        case "CreateStmt":
            yield "partition of" if statement.HasField("partbound") else "table"
        case "AlterDomainStmt":
            constraint = getattr(statement, "def").constraint
            yield (
                "domain constraint" if statement.subtype in ("C", "V") and not constraint.skip_validation else "domain"
            )
        case "RenameStmt":
            yield "rename relation" if _enum(statement, "rename_type") in _RELATIONS else "rename"
        case "InsertStmt":
            yield "insert"
            if _enum(statement.on_conflict_clause, "action") == "ONCONFLICT_UPDATE":
                yield "update"
        case "SelectStmt":
            yield "into" if statement.HasField("into_clause") else "select"
        case "DeclareCursorStmt":
            yield "select"
        case "CopyStmt" if not statement.is_from:
            yield "select"
        case _:
            yield _STATEMENTS.get(kind, "other")


def _drop(statement: Node) -> str:
    dropped = _enum(statement, "remove_type").removeprefix("OBJECT_").replace("_", " ").lower()
    return f"drop {dropped}" + (" concurrently" if statement.concurrent else "")


def _subcommand(command: Node) -> Iterator[str]:
    subtype = _enum(command, "subtype")
    given = getattr(command, "def")
    if subtype == "AT_AddColumn":
        yield "add column"
        column = given.column_def
        if column.type_name.names and column.type_name.names[-1].string.sval in _SERIAL:
            yield "add column serial"
        for item in column.constraints:
            yield f"add column {_CONSTRAINTS.get(_enum(item.constraint, 'contype'), 'other')}"
    elif subtype == "AT_AddConstraint":
        name = _CONSTRAINTS.get(_enum(given.constraint, "contype"), "other")
        if given.constraint.indexname:
            yield f"add {name} using index"
        else:
            yield f"{name} not valid" if given.constraint.skip_validation else f"add {name}"
    elif subtype == "AT_DetachPartition":
        yield "detach partition concurrently" if given.partition_cmd.concurrent else "detach partition"
    else:
        yield _SUBCOMMANDS.get(subtype, "other alter")


def _named(part: Node) -> Iterator[str]:
    """The names of relations in one node, without those below it; of a DROP all names, whatever the kind of object."""
    if tree.kind(part) == "RangeVar":
        yield part.relname
    elif tree.kind(part) == "DropStmt":
        for dropped in part.objects:
            items = dropped.list.items if dropped.WhichOneof("node") == "list" else [dropped]
            yield from (item.string.sval for item in items)


def _enum(message: Node, field: str) -> str:
    """The name of an enum's value."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    name: str = descriptor.enum_type.values_by_number[getattr(message, field)].name
    return name
