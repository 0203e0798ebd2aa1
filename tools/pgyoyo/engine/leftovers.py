"""What an earlier attempt at a statement outside a transaction left: an invalid index, a partition half detached."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection, sql

from pgyoyo.queries import named
from pgyoyo.sql import tree
from pgyoyo.sql.script import Statement, Target
from pgyoyo.sql.session import (
    NOTHING,
    Effect,
    called,
    called_in_code,
    code_effect,
    is_command,
    written,
    written_in_code,
)

_QUERIES = Path(__file__).with_name("leftovers.sql")


@dataclass(slots=True)
class Leftovers:
    """Looks up and clears away, in the session that ran the file so far, so that names mean what they mean there."""

    conn: Connection
    note: Callable[[str], None]

    def is_done(self, statement: Statement, text: bytes) -> bool | None:
        """Whether a statement that was under way when its runner died took effect; None where that can't be looked up."""
        target = statement.target
        if statement.kind == "create-index-concurrently" and target:
            if target.index:
                return self.index(target) is True
            return None if any(valid for _, valid in self._unnamed(target, text)) else False
        if statement.kind == "drop-index-concurrently" and target:
            return self.index(target) is None
        if partition := _detached(text):
            return self._finish_detaching(*partition)
        return False if is_repeatable(statement) else None

    def clear(self, statement: Statement, text: bytes) -> bool:
        """Drop what an interrupted or failed attempt left, only indexes that are not valid; or end what it had begun.

        Returns whether the statement is then done.
        """
        target = statement.target
        if statement.kind == "create-index-concurrently" and target:
            if target.index and self.index(target) is False:
                self._drop(str(qualified(target, target.index)))
            if not target.index:
                for name, valid in self._unnamed(target, text):
                    if not valid:
                        self._drop(name)
        if statement.kind == "reindex-concurrently" and target:
            names = {"table": qualified(target, target.table), "index": qualified(target, target.index)}
            for row in self.conn.execute(named(_QUERIES)["left_by_reindex"].encode(), names).fetchall():
                self._drop(row[0])
        partition = _detached(text)
        return bool(partition and self._is_pending(*partition) and self._finish_detaching(*partition))

    def effect_of_code(self, text: bytes) -> Effect:
        """What the functions and procedures that a statement calls leave in their session."""
        left = ((name, code_effect(code).lost) for name, code in self.codes(text))
        return next((Effect(lost=f"{lost} of {name}") for name, lost in left if lost), NOTHING)

    def codes(self, text: bytes) -> Iterator[tuple[str, str]]:
        """The name and code of the functions and procedures that a statement calls.

        So do the triggers of the tables that it writes to, and what these call in their turn.
        """
        seen: frozenset[str] = frozenset()
        names = called(text) | self._fired(written(text), commands=is_command(text))
        while names:
            seen |= names
            rows = self.conn.execute(named(_QUERIES)["code"].encode(), {"names": list(names)}).fetchall()
            yield from rows
            fired = self._fired(frozenset().union(*(written_in_code(code) for _, code in rows)))
            names = fired.union(*(called_in_code(code) for _, code in rows)) - seen

    def _fired(self, tables: frozenset[str], *, commands: bool = False) -> frozenset[str]:
        """The functions of the triggers that writing to these tables may fire, or that commands do."""
        if not tables and not commands:
            return frozenset()
        values = {"tables": list(tables), "commands": commands}
        return frozenset(name for (name,) in self.conn.execute(named(_QUERIES)["fired"].encode(), values).fetchall())

    def index(self, target: Target) -> bool | None:
        """Whether the index is valid; None where there is none."""
        names = {"index": qualified(target, target.index), "table": qualified(target, target.table)}
        row = self.conn.execute(named(_QUERIES)["index"].encode(), names).fetchone()
        return None if row is None else bool(row[1])

    def _unnamed(self, target: Target, text: bytes) -> list[tuple[str, bool]]:
        node = tree.parse(text.decode(errors="replace"))
        if node is None or tree.kind(node) != "IndexStmt":
            return []
        columns = [part.index_elem.name for part in (*node.index_params, *node.index_including_params)]
        values: dict[str, Any] = {
            "table": qualified(target, target.table),
            "unique": node.unique,
            "method": node.access_method or "btree",
            "partial": node.HasField("where_clause"),
            "columns": columns,
        }
        return [
            (str(row[0]), bool(row[1]))
            for row in self.conn.execute(named(_QUERIES)["unnamed"].encode(), values).fetchall()
        ]

    def _drop(self, name: str) -> None:
        self.note(f"dropping the invalid index {name} that an earlier attempt left")
        self.conn.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())

    def _is_pending(self, parent: str, child: str) -> bool | None:
        row = self.conn.execute(named(_QUERIES)["inherits"].encode(), {"parent": parent, "child": child}).fetchone()
        return None if row is None else bool(row[0])

    def _finish_detaching(self, parent: str, child: str) -> bool:
        pending = self._is_pending(parent, child)
        if pending:
            self.note(f"finishing to detach {child} from {parent}, which an earlier attempt had begun")
            self.conn.execute(f"ALTER TABLE {parent} DETACH PARTITION {child} FINALIZE".encode())
        return pending is not False


def is_repeatable(statement: Statement) -> bool:
    """Whether it may be sent again whatever of it was done before."""
    return statement.name.split(" ")[0] in ("VACUUM", "REINDEX", "CLUSTER")


def is_patient(text: bytes) -> bool:
    """Whether it waits for others by design, and shuts nobody out meanwhile, so that its wait for locks needs no limit."""
    if re.match(rb"(?i)VACUUM\b", text):
        return not re.match(rb"(?i)VACUUM\s*(?:\([^)]*\bFULL\b|FULL\b)", text)
    return re.search(rb"(?i)\bCONCURRENTLY\b|\bpg_create_logical_replication_slot\b", text) is not None


def qualified(target: Target, name: str | None) -> str | None:
    """The name with the target's schema, as the server reads it; None for none."""
    if name is None:
        return None
    return _identifier(target.schema or "", name)


def _identifier(schema: str, name: str) -> str:
    return sql.Identifier(*([schema, name] if schema else [name])).as_string(None)


def _detached(text: bytes) -> tuple[str, str] | None:
    """The names of table and partition of an ALTER TABLE … DETACH PARTITION … CONCURRENTLY."""
    if b"concurrently" not in text.lower():
        return None
    node = tree.parse(text.decode(errors="replace"))
    if node is None or tree.kind(node) != "AlterTableStmt":
        return None
    for command in node.cmds:
        given = getattr(command.alter_table_cmd, "def")
        if given.WhichOneof("node") == "partition_cmd" and given.partition_cmd.concurrent:
            names = (node.relation, given.partition_cmd.name)
            return _identifier(names[0].schemaname, names[0].relname), _identifier(
                names[1].schemaname, names[1].relname
            )
    return None
