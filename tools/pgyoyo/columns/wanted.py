"""What --expand and --rename say: a table, one of its columns, and its new type or name."""

import re
from typing import NamedTuple

from pgyoyo import sql
from pgyoyo.errors import UsageError
from pgyoyo.sql.lexer import folded

_PART = r'(?:"(?:[^"]|"")+"|[^\s".=]+)'
_COLUMN = re.compile(rf"\s*({_PART}(?:\.{_PART}){{1,2}})\s*")


class Wanted(NamedTuple):
    """The names as they stand in the catalog, but `table`, which is SQL, as `type` is; one of `type` and `name` is empty."""

    table: str
    column: str
    type: str = ""
    name: str = ""


def new_type(text: str) -> Wanted:
    """Of "table.column type"; raises UsageError for what is none."""
    match = _COLUMN.match(text)
    kind = text[match.end() :].strip() if match else ""
    if not match or not _is_type(kind):
        raise UsageError(f'--expand is "{text}"; write a column and its new type, as "cj_batch_uploads.id bigint"')
    return Wanted(*_names(match[1]), type=kind)


def _is_type(text: str) -> bool:
    """Whether it is a type and nothing more: no constraint, collation or second command."""
    node = sql.tree.parse(f"ALTER TABLE t ADD COLUMN c {text}") if ";" not in text else None
    if node is None or sql.tree.kind(node) != "AlterTableStmt" or len(node.cmds) != 1:
        return False
    column = getattr(sql.tree.unwrap(node.cmds[0]), "def").column_def
    return column.HasField("type_name") and not column.constraints and not column.HasField("coll_clause")


def new_name(text: str) -> Wanted:
    """Of "table.column=name"; raises UsageError for what is none."""
    match = _COLUMN.match(text)
    rest = text[match.end() :] if match else ""
    name = re.fullmatch(rf"=\s*({_PART})\s*", rest)
    if not match or not name:
        raise UsageError(f'--rename is "{text}"; write a column and its new name, as "cj_batch_uploads.language=lang"')
    wanted = Wanted(*_names(match[1]), name=folded(name[1]))
    if wanted.name == wanted.column:
        raise UsageError(f'--rename is "{text}": that is its name already')
    return wanted


def _names(text: str) -> tuple[str, str]:
    *table, column = re.findall(_PART, text)
    return ".".join(table), folded(column)
