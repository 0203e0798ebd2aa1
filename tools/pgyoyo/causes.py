"""What a statement asks for, as PostgreSQL's parser reads it: the names in it, and why it may lock, scan or rewrite."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# As in statements.py: a far longer one may overrun the parser's stack.
LONGEST = 1 << 16
_SERIAL = frozenset(("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"))

# What an ALTER TABLE subcommand is called here; those not named are what only changes the catalog.
_SUBCOMMANDS = {
    "AT_ValidateConstraint": "validate", "AT_SetNotNull": "set not null", "AT_AlterColumnType": "column type",
    "AT_DropColumn": "drop column", "AT_DropConstraint": "drop constraint", "AT_SetLogged": "storage",
    "AT_SetUnLogged": "storage", "AT_SetAccessMethod": "storage", "AT_SetTableSpace": "storage",
    "AT_AttachPartition": "attach partition", "AT_DetachPartition": "detach partition", "AT_AddIdentity": "identity",
    "AT_DropNotNull": "drop not null",
}  # fmt: skip
_CONSTRAINTS = {
    "CONSTR_CHECK": "check", "CONSTR_UNIQUE": "unique", "CONSTR_PRIMARY": "primary key", "CONSTR_FOREIGN": "foreign key",
    "CONSTR_EXCLUSION": "exclusion", "CONSTR_NOTNULL": "not null", "CONSTR_DEFAULT": "default", "CONSTR_IDENTITY": "identity",
    "CONSTR_GENERATED": "generated",
}  # fmt: skip
_STATEMENTS = {
    "update_stmt": "update", "delete_stmt": "delete", "merge_stmt": "update", "insert_stmt": "insert", "do_stmt": "code",
    "call_stmt": "code", "select_stmt": "select", "copy_stmt": "copy", "truncate_stmt": "truncate", "lock_stmt": "lock",
    "cluster_stmt": "storage", "rename_stmt": "rename", "create_trig_stmt": "trigger", "view_stmt": "view",
}  # fmt: skip
_NESTED = {"UpdateStmt": "update", "MergeStmt": "update", "DeleteStmt": "delete"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The relations that a statement names, without their schemas, and what it wants done, in words.

    The words are this module's: "add column", "add check", "check not valid", "set not null", "update", "index", … A
    statement that the parser can't read has none.
    """

    names: tuple[str, ...] = ()
    wants: frozenset[str] = frozenset()
    target: str | None = None

    def any(self, *words: str) -> bool:
        """Whether it wants one of these."""
        return not self.wants.isdisjoint(words)


@lru_cache(maxsize=1024)
def asked(text: bytes) -> Asked:
    """What a statement asks for; loads postgast."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415  # slow to import, as in statements.py
    from postgast import PgQueryError, parse  # noqa: PLC0415

    if len(text) > LONGEST:
        return Asked()
    try:
        node = parse(text.decode()).stmts[0].stmt
    except (PgQueryError, DecodeError, IndexError):
        return Asked()
    kind = node.WhichOneof("node")
    statement = getattr(node, kind)
    relation = getattr(statement, "relation", None)
    target = getattr(relation, "relname", None) or None
    parts = list(_parts(statement))
    names = dict.fromkeys(name for part in parts for name in _named(part))
    # A WITH may hold another command.
    nested = {_NESTED[name] for part in parts[1:] if (name := part.DESCRIPTOR.name) in _NESTED}
    return Asked(tuple(names), frozenset(_wants(kind, statement)) | nested, target)


def _wants(kind: str, statement: Any) -> Iterator[str]:
    match kind:
        case "alter_table_stmt":
            for command in statement.cmds:
                yield from _subcommand(command.alter_table_cmd)
        case "index_stmt":
            yield "index concurrently" if statement.concurrent else "index"
        case "reindex_stmt":
            concurrently = any(one.def_elem.defname == "concurrently" for one in statement.params)
            yield "reindex concurrently" if concurrently else "reindex"
        case "drop_stmt":
            yield _drop(statement)
        case "vacuum_stmt":
            full = any(one.def_elem.defname == "full" for one in statement.options)
            yield "storage" if full else "vacuum"
        case "refresh_mat_view_stmt":
            yield "refresh concurrently" if statement.concurrent else "refresh"
        case "create_stmt":
            yield "partition of" if statement.HasField("partbound") else "table"
        case "alter_domain_stmt":
            constraint = getattr(statement, "def").constraint
            yield (
                "domain constraint" if statement.subtype in ("C", "V") and not constraint.skip_validation else "domain"
            )
        case "rename_stmt":
            yield "rename"
            column, table = _enum(statement, "rename_type") == "OBJECT_COLUMN", statement.relation.relname
            yield "rename column" if column and table else "rename relation" if table else "rename other"
        case "select_stmt":
            yield "into" if statement.HasField("into_clause") else "select"
        case "create_table_as_stmt":
            yield "into"
        case _:
            yield _STATEMENTS.get(kind, "other")


def _drop(statement: Any) -> str:
    dropped = _enum(statement, "remove_type").removeprefix("OBJECT_").replace("_", " ").lower()
    return f"drop {dropped}" + (" concurrently" if statement.concurrent else "")


def _subcommand(command: Any) -> Iterator[str]:
    subtype = _enum(command, "subtype")
    given = getattr(command, "def")
    if subtype == "AT_AddColumn":
        yield "add column"
        column = given.column_def
        if column.type_name.names and column.type_name.names[-1].string.sval in _SERIAL:
            yield "add column serial"
        for one in column.constraints:
            yield f"add column {_CONSTRAINTS.get(_enum(one.constraint, 'contype'), 'other')}"
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


def _parts(node: Any) -> Iterator[Any]:
    """Every message in a tree."""
    yield node
    for field, value in node.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if field.is_repeated else (value,):
                yield from _parts(one)


def _named(part: Any) -> Iterator[str]:
    """The names of relations that one message holds; of a DROP all of its names, whatever they are of."""
    if part.DESCRIPTOR.name == "RangeVar":
        yield part.relname
    elif part.DESCRIPTOR.name == "DropStmt":
        for dropped in part.objects:
            items = dropped.list.items if dropped.WhichOneof("node") == "list" else [dropped]
            yield from (item.string.sval for item in items)


def _enum(message: Any, field: str) -> str:
    """The name of an enum's value."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    name: str = descriptor.enum_type.values_by_number[getattr(message, field)].name
    return name
