"""What fills the safer way of a rule: the names, types, conditions and lists of the statement that the finding is about."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from postgast import PgQueryError, deparse
from postgast import parse as parse_tree
from postgast.pg_query_pb2 import (
    CONSTR_CHECK,
    CONSTR_DEFAULT,
    CONSTR_FOREIGN,
    CONSTR_GENERATED,
    CONSTR_PRIMARY,
    CONSTR_UNIQUE,
    OBJECT_COLUMN,
    OBJECT_INDEX,
    OBJECT_TABLE,
    REINDEX_OBJECT_INDEX,
    AT_AddColumn,
    AT_AddConstraint,
    AT_AlterColumnType,
    AT_DropConstraint,
    AT_SetNotNull,
)

from pgyoyo.identifiers import quoted
from pgyoyo.review.commands import calls, commands, literal
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

Words = Mapping[str, str]


def words(rule: str, sql: str, table: str = "") -> Words:
    """What fills the holes of the rule's advice; empty where the statement has nothing for them, or leaves a choice.

    Names that the author did not give are made as PostgreSQL makes them. Of a DO block it is what its commands say of the
    `table`, which is named without its schema.
    """
    reader = _READERS.get(rule)
    own = commands(sql) if reader else ()
    nodes = [node for node in own if len(own) == 1 or _is_about(node, table)]
    try:
        choices = [choice for node in nodes if reader for choice in reader(node)]
    except PgQueryError:  # it has what the parser can't write
        return {}
    return choices[0] if len(choices) == 1 else {}


def _is_about(node: Node, table: str) -> bool:
    return "relation" in node.DESCRIPTOR.fields_by_name and node.relation.relname == table


def _index(node: Node) -> Iterator[Words]:
    if tree.kind(node) != "IndexStmt":
        return
    plain = _copy(node)
    plain.concurrent = plain.if_not_exists = plain.unique = False
    plain.idxname, plain.relation.relname = "", "t"
    wrapped = parse_tree("CREATE INDEX ON t (a)")
    wrapped.stmts[0].stmt.index_stmt.CopyFrom(plain)
    definition = f"USING {deparse(wrapped).partition(' USING ')[2]}".removeprefix("USING btree ")
    columns = [tree.unwrap(each).name or "expr" for each in node.index_params]
    name = _name(node.idxname) if node.idxname else _made(node.relation.relname, columns, "idx")
    yield {"unique": "UNIQUE " * node.unique, "new_index": name, "definition": definition}


def _check(node: Node) -> Iterator[Words]:
    for constraint in _constraints(node, CONSTR_CHECK):
        columns = {each.fields[-1].string.sval for each in tree.walk(constraint.raw_expr) if tree.column(each)}
        made = _made(node.relation.relname, list(columns) if len(columns) == 1 else (), "check")
        name = _name(constraint.conname) or made
        yield {
            "new_constraint": name,
            "condition": tree.text(constraint.raw_expr),
            "replaced": _replaced(node, constraint),
        }


def _not_null(node: Node) -> Iterator[Words]:
    for command in _commands(node, AT_SetNotNull):
        name = _made(node.relation.relname, [command.name], "not_null")
        yield {"column": _name(command.name), "new_constraint": name}


def _foreign_key(node: Node) -> Iterator[Words]:
    for constraint in _constraints(node, CONSTR_FOREIGN):
        if constraint.fk_with_period:  # its last column has a word more
            continue
        columns = _strings(constraint.fk_attrs)
        plain = _copy(constraint)
        plain.skip_validation, plain.initially_valid = False, True
        yield {
            "new_constraint": _name(constraint.conname) or _made(node.relation.relname, columns, "fkey"),
            "reference": _listed(columns),
            "referenced": _added(plain).partition(" REFERENCES ")[2],
            "replaced": _replaced(node, constraint),
        }


def _columns_of_key(node: Node) -> Iterator[Words]:
    if tree.kind(node) == "CreateStmt":
        parts = [tree.unwrap(each) for each in node.table_elts]
    else:
        parts = [tree.unwrap(getattr(each, "def")) for each in _commands(node, AT_AddConstraint, AT_AddColumn)]
    for part in parts:
        columns: list[str] = []
        if tree.kind(part) == "ColumnDef":
            keys = [each for each in part.constraints if tree.unwrap(each).contype == CONSTR_FOREIGN]
            columns = [part.colname] if keys else []
        elif tree.kind(part) == "Constraint" and part.contype == CONSTR_FOREIGN:
            columns = _strings(part.fk_attrs)
        if columns:
            name = _made(node.relation.relname, columns, "idx")
            yield {"unique": "", "new_index": name, "definition": f"({_listed(columns)})"}


def _key(node: Node) -> Iterator[Words]:
    for constraint in _constraints(node, CONSTR_UNIQUE, CONSTR_PRIMARY):
        # An index for these has more words than its columns.
        if (
            constraint.including or constraint.nulls_not_distinct or constraint.deferrable or constraint.indexname
            or constraint.without_overlaps
        ):  # fmt: skip
            continue
        columns = _strings(constraint.keys)
        table, primary = node.relation.relname, constraint.contype == CONSTR_PRIMARY
        default = _made(table, () if primary else columns, "pkey" if primary else "key")
        key = _listed(columns)
        yield {
            "new_constraint": _name(constraint.conname) or default, "new_index": _made(table, columns, "idx"),
            "key": key, "new_key": key, "unique_columns": key, "replaced": _replaced(node, constraint),
        }  # fmt: skip


def _not_null_key(node: Node) -> Iterator[Words]:
    for each in _key(node):
        if "," not in each["key"]:
            name = _made(node.relation.relname, [each["key"].strip('"')], "not_null")
            yield {**each, "new_constraint": name}


def _new_column(node: Node) -> Iterator[Words]:
    for command in _commands(node, AT_AddColumn):
        column = getattr(command, "def").column_def
        if column.HasField("coll_clause"):  # which the type lacks
            continue
        constraints = [tree.unwrap(each) for each in column.constraints]
        expressions = [
            tree.text(each.raw_expr) for each in constraints if each.contype in (CONSTR_DEFAULT, CONSTR_GENERATED)
        ]
        yield {
            **dict.fromkeys(("volatile", "expression"), "".join(expressions) or "…"),
            **_synced(node.relation.relname, column.colname),
            "type": _type(column.type_name), "new_sequence": _made(node.relation.relname, [column.colname], "seq"),
        }  # fmt: skip


def _type_change(node: Node) -> Iterator[Words]:
    for command in _commands(node, AT_AlterColumnType):
        name, type_ = _name(command.name), _type(getattr(command, "def").column_def.type_name)
        yield {
            **_synced(node.relation.relname, f"{command.name}_new"),
            "column": name, "type": type_, "moment": name, "moment_type": type_,
        }  # fmt: skip


def _rename(node: Node) -> Iterator[Words]:
    if tree.kind(node) != "RenameStmt":
        return
    if node.rename_type == OBJECT_COLUMN:
        yield {"column": _name(node.subname), **_synced(node.relation.relname, node.newname)}
    elif node.rename_type == OBJECT_TABLE:
        yield {"new_name": _name(node.newname)}


def _dropped_index(node: Node) -> Iterator[Words]:
    if tree.kind(node) == "DropStmt" and node.remove_type == OBJECT_INDEX:
        for each in node.objects:
            yield {"index": ".".join(map(_name, _strings(tree.unwrap(each).items)))}


def _rebuilt_index(node: Node) -> Iterator[Words]:
    if tree.kind(node) == "ReindexStmt" and node.kind == REINDEX_OBJECT_INDEX:
        yield {"index": _relation(node.relation)}


def _view(node: Node) -> Iterator[Words]:
    if tree.kind(node) == "RefreshMatViewStmt":
        yield {"view": _relation(node.relation)}


def _domain(node: Node) -> Iterator[Words]:
    if tree.kind(node) == "AlterDomainStmt" and (constraint := tree.unwrap(getattr(node, "def"))) is not None:
        names = _strings(node.type_name)
        if tree.kind(constraint) == "Constraint" and constraint.contype == CONSTR_CHECK:
            yield {
                "domain": ".".join(map(_name, names)), "domain_condition": tree.text(constraint.raw_expr),
                "new_constraint": _name(constraint.conname) or _made(names[-1], (), "check"),
            }  # fmt: skip


def _synced(table: str, column: str) -> Words:
    """A new column, and the function and trigger that keep it in step with another one."""
    return {
        "new_column": _name(column), "function": _made(table, [column], "sync"),
        "trigger": _made(table, [column], "is_synced"),
    }  # fmt: skip


def _commands(node: Node, *kinds: int) -> list[Node]:
    """The commands of these kinds in an ALTER TABLE."""
    if tree.kind(node) != "AlterTableStmt":
        return []
    return [command for command in map(tree.unwrap, node.cmds) if command.subtype in kinds]


def _constraints(node: Node, *kinds: int) -> list[Node]:
    """The constraints of these kinds that an ALTER TABLE adds to the table."""
    added = (getattr(command, "def").constraint for command in _commands(node, AT_AddConstraint))
    return [constraint for constraint in added if constraint.contype in kinds]


def _replaced(node: Node, constraint: Node) -> str:
    """What drops the constraint in whose place, and under whose name, the same ALTER TABLE adds another; mostly nothing."""
    dropped = (
        each for each in _commands(node, AT_DropConstraint) if constraint.conname and each.name == constraint.conname
    )
    return "".join(f"DROP CONSTRAINT {'IF EXISTS ' * each.missing_ok}{_name(each.name)}, " for each in dropped)


def _copy(node: Node) -> Node:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def _added(constraint: Node) -> str:
    wrapped = parse_tree("ALTER TABLE t ADD CHECK (a)")
    getattr(wrapped.stmts[0].stmt.alter_table_stmt.cmds[0].alter_table_cmd, "def").constraint.CopyFrom(constraint)
    return deparse(wrapped)


def _type(type_name: Node) -> str:
    wrapped = parse_tree("SELECT NULL::int")
    cast = wrapped.stmts[0].stmt.select_stmt.target_list[0].res_target.val.type_cast
    cast.type_name.CopyFrom(type_name)
    return deparse(wrapped).partition("::")[2]


def _strings(nodes: Sequence[Node]) -> list[str]:
    return [tree.unwrap(each).sval for each in nodes]


def _name(name: str) -> str:
    """A name as SQL, with quotes only where it needs them."""
    return tree.text(tree.condition(quoted(name))) if name else ""


def _relation(relation: Node) -> str:
    return ".".join(_name(each) for each in (relation.schemaname, relation.relname) if each)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_name, names))


def _made(table: str, columns: Sequence[str], ending: str) -> str:
    """A name as PostgreSQL makes one."""
    return _name("_".join([table, *columns, ending]))


def _sequence(node: Node) -> Iterator[Words]:
    if tree.kind(node) == "AlterSeqStmt":
        yield {"sequence": ".".join(map(_name, filter(None, (node.sequence.schemaname, node.sequence.relname))))}
    for name, call in calls(node):
        if name == "setval" and call.args and (text := literal(call.args[0])):
            yield {"sequence": text}


_READERS: Mapping[str, Callable[[Node], Iterator[Words]]] = {
    "volatile-default": _new_column, "add-serial-column": _new_column, "add-stored-column": _new_column,
    "not-null-without-default": _new_column,
    "change-column-type": _type_change, "timezone-dependent-type": _type_change,
    "rename-column": _rename, "rename-table": _rename,
    "check-scans": _check, "set-not-null-scans": _not_null, "foreign-key-scans": _foreign_key,
    "foreign-key-without-index": _columns_of_key, "index-not-concurrently": _index, "concurrently-if-not-exists": _index,
    "unique-builds-index": _key, "primary-key-sets-not-null": _not_null_key, "drop-index-not-concurrently": _dropped_index,
    "reindex-not-concurrently": _rebuilt_index, "refresh-blocks-readers": _view, "domain-constraint-scans": _domain,
    "sequence-restarts": _sequence,
}  # fmt: skip
