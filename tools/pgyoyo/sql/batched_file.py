"""The statements of a file with "backfill: batched"."""

from collections.abc import Callable
from typing import Any

from pgyoyo.sql import tree
from pgyoyo.sql.batched import Batched, NotBatchableError, RefusedError
from pgyoyo.sql.delete import batched_delete
from pgyoyo.sql.insert import batched_insert
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.update import batched_update

_READERS: dict[str, Callable[..., Any]] = {
    "UpdateStmt": batched_update,
    "DeleteStmt": batched_delete,
    "InsertStmt": batched_insert,
}
_NOTHING_ELSE = 'in a file with "backfill: batched", which must hold UPDATE, DELETE or INSERT … SELECT and nothing else'


def statements(script: Script) -> tuple[tuple[Batched, ...], ...]:
    """What the file runs in batches, in its order; of an INSERT … SELECT, for each table that it might walk.

    Raises RefusedError with the line and the reason.
    """
    if not script.statements:
        raise RefusedError(1, f"nothing {_NOTHING_ELSE}")
    return tuple(_read(script, statement) for statement in script.statements)


def _read(script: Script, statement: Statement) -> tuple[Batched, ...]:
    line = script.line(statement.start)
    verb = statement.name.split(" ")[0].upper()
    if verb not in ("UPDATE", "DELETE", "INSERT", "WITH"):
        raise RefusedError(line, f"{statement.name} {_NOTHING_ELSE}")
    text = script.text(statement).decode()
    node = tree.parse(text)
    reader = _READERS.get(tree.kind(node))
    if reader is None:
        raise RefusedError(
            line, f"not {'an' if verb in ('UPDATE', 'INSERT') else 'a'} {verb} that the parser can read: it has a syntax "
            'error, or is too long or too deep; fix it, or remove "backfill: batched"')  # fmt: skip
    try:
        read = reader(script, statement, text, node)
    except NotBatchableError as error:
        raise RefusedError(line, f"can't run in batches: {error}") from None
    return tuple(read) if isinstance(read, list) else (read,)
