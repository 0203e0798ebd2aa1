"""What PostgreSQL does only to a whole partitioned table, partition by partition: an index built CONCURRENTLY, a constraint.

Such a statement stands in a file outside a transaction. Each look at the catalog gives the statements that are left, so that
a run that was killed goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from postgast import pg_query_pb2 as pb
from psycopg import Connection

from pgyoyo.identifiers import qualified, quoted
from pgyoyo.queries import named
from pgyoyo.sql import tree
from pgyoyo.sql.batched_text import name_at
from pgyoyo.sql.tree import Node

_QUERIES = Path(__file__).with_name("partitions.sql")
_LONGEST = 63  # bytes of a name, unless PostgreSQL was built otherwise (NAMEDATALEN)


@dataclass(frozen=True, slots=True)
class Piece:
    """One of the statements that are sent for the author's: `added` characters stand in place of its first `replaced`."""

    text: str
    added: int = 0
    replaced: int = 0

    @property
    def shift(self) -> int:
        """What is to be added to a position in it to have the author's."""
        return self.replaced - self.added


@dataclass(frozen=True, slots=True)
class _Table:
    oid: int
    parent: int
    schema: str
    name: str
    kind: str
    shown: str

    @property
    def sql(self) -> str:
        return qualified(self.schema, self.name)

    @property
    def is_leaf(self) -> bool:
        return self.kind != "p"


def pieces(conn: Connection, text: bytes, *, begun: bool = True) -> list[Piece] | None:
    """The statements that are left to do for a statement on a partitioned table; None where it is to be sent as it stands.

    Where no earlier run has `begun` it, what is there under its name is not its own. Reads only. Raises ValueError with the
    reason where it can't be done partition by partition.
    """
    words = text.lower()
    if not (b"concurrently" in words and b"index" in words) and b"constraint" not in words:
        return None
    statement = text.decode(errors="replace")
    node = tree.parse(statement)
    if tree.kind(node) == "IndexStmt" and node.concurrent and node.relation.inh:  # type: ignore[union-attr]
        tables = _tables(conn, node)
        return _Index(conn, statement, node, tables, begun).left() if tables else None
    if tree.kind(node) == "AlterTableStmt" and len(node.cmds) == 1 and node.relation.inh:  # type: ignore[union-attr]
        tables = _tables(conn, node)
        return _Constraint(conn, statement, node, tables, begun).left() if tables else None
    return None


def is_validation(text: bytes) -> bool:
    """Whether it is a VALIDATE CONSTRAINT, which may be sent again."""
    node = tree.parse(text.decode(errors="replace")) if b"validate" in text.lower() else None
    return tree.kind(node) == "AlterTableStmt" and all(
        tree.unwrap(command).subtype == pb.AT_ValidateConstraint
        for command in node.cmds  # type: ignore[union-attr]
    )


def _tables(conn: Connection, node: Node) -> list[_Table]:
    name = qualified(node.relation.schemaname or None, node.relation.relname)
    return [_Table(*row) for row in _rows(conn, "tree", {"table": name})]


def _rows(conn: Connection, name: str, values: dict[str, Any]) -> list[Any]:
    return conn.execute(named(_QUERIES)[name].encode(), values).fetchall()


@dataclass(frozen=True)
class _Index:
    """CREATE INDEX CONCURRENTLY: ON ONLY what has partitions, CONCURRENTLY on what has rows, then attached."""

    conn: Connection
    text: str
    node: Node
    tables: Sequence[_Table]
    begun: bool

    def left(self) -> list[Piece]:
        for table in self.tables:
            if table.kind == "f":
                raise ValueError(f"its partition {table.shown} is a foreign table, which can have no index")
        rows = _rows(self.conn, "indexes", {"tables": [table.oid for table in self.tables]})
        # By its table and what it is attached to: the index of each table, valid or not.
        root = self.tables[0]
        whole = next((row for row in rows if row[0] == root.oid and row[2] == self.name), None)
        if whole and whole[4]:
            if not (self.begun or self.node.if_not_exists):
                raise ValueError(f"there is an index {whole[3]}; drop it or choose another name")
            return []
        own = {root.oid: whole}
        definition = whole[6] if whole else None
        left = [] if whole else [self._create(root, self.name)]
        for table in self.tables[1:]:
            above = own.get(table.parent)
            attached = next((row for row in rows if above and row[0] == table.oid and row[5] == above[1]), None)
            own[table.oid] = attached
            if attached:
                continue
            name = _short(f"{table.name}_{self.name}")
            free = [row for row in rows if row[0] == table.oid and not row[5] and row[6] == definition]
            valid = next((row for row in free if row[4] or not table.is_leaf), None)
            own[table.oid] = valid
            if not valid:
                left += [
                    Piece(f"DROP INDEX CONCURRENTLY {qualified(table.schema, name)}") for row in free if row[2] == name
                ]
                left.append(self._create(table, name))
            parent = next(each for each in self.tables if each.oid == table.parent)
            parent_index = above[3] if above else qualified(parent.schema, self._name_of(parent))
            left.append(
                Piece(
                    f"ALTER INDEX {parent_index} ATTACH PARTITION {valid[3] if valid else qualified(table.schema, name)}"
                )
            )
        if whole and not left:
            raise ValueError(
                f"the index {whole[3]} is not valid, though each partition has one that is attached to it, perhaps since "
                "one of those was built in vain; drop it, then run this again"
            )
        return left

    @cached_property
    def name(self) -> str:
        """The author's name for it, or one as the server makes them (ChooseIndexName in indexcmds.c)."""
        columns = [part.index_elem.name or "expr" for part in self.node.index_params]
        return self.node.idxname or _short("_".join((self.node.relation.relname, *columns, "idx")))

    def _name_of(self, table: _Table) -> str:
        return self.name if table is self.tables[0] else _short(f"{table.name}_{self.name}")

    def _create(self, table: _Table, name: str) -> Piece:
        """Its own text from behind the table's name on, with another begin."""
        _, end = name_at(self.text, self.node.relation.location)
        replaced = self.text.encode()[:end].decode()
        unique = "UNIQUE " if self.node.unique else ""
        how, only = ("CONCURRENTLY ", "") if table.is_leaf else ("", "ONLY ")
        head = f"CREATE {unique}INDEX {how}{quoted(name)} ON {only}{table.sql}"
        return Piece(head + self.text[len(replaced) :], len(head), len(replaced))


@dataclass(frozen=True)
class _Constraint:
    """ADD CONSTRAINT … CHECK or FOREIGN KEY, and VALIDATE CONSTRAINT: one partition is looked through at a time."""

    conn: Connection
    text: str
    node: Node
    tables: Sequence[_Table]
    begun: bool

    def left(self) -> list[Piece] | None:
        command = tree.unwrap(self.node.cmds[0])
        constraint = tree.unwrap(getattr(command, "def"))
        leaves = [table for table in self.tables if table.is_leaf]
        if tree.kind(constraint) != "Constraint":
            if command.subtype != pb.AT_ValidateConstraint:
                return None
            known = self._known(command.name)
            left = [
                self._validate(table, name) for table in leaves for name, valid in known.get(table.oid, ()) if not valid
            ]
            own = known.get(self.tables[0].oid)
            # Sent also where nothing is left to look through: the table's own mark is set by it.
            return [*left, Piece(self.text)] if left or (own and not own[0][1]) else None
        name = constraint.conname
        is_key = bool(constraint.pk_attrs or constraint.fk_attrs)
        if not name or not (is_key or constraint.raw_expr.WhichOneof("node")) or constraint.is_no_inherit:
            return None
        known = self._known(name)
        waits = constraint.skip_validation
        own = known.get(self.tables[0].oid)
        if waits and (not is_key or self.conn.info.server_version >= 180000):
            return None
        if own and not self.begun:
            return None  # the server refuses it
        if own and own[0][1]:
            return []
        left = []
        if is_key:
            left += [self._add(table) for table in leaves if not known.get(table.oid)]
        elif not own:
            left.append(self._add(self.tables[0]))
        for table in leaves:
            given = known.get(table.oid) or [(name, False)]
            left += [self._validate(table, each) for each, valid in given if not valid]
        # Those of the partitions are valid and become its own, so that nothing is looked through again.
        whole = self.text if is_key else f"ALTER TABLE {self.tables[0].sql} VALIDATE CONSTRAINT {quoted(name)}"
        return [*left, Piece(self._without_not_valid() if is_key and waits else whole)]

    def _known(self, name: str) -> dict[int, list[tuple[str, bool]]]:
        known: dict[int, list[tuple[str, bool]]] = {}
        for oid, given, valid in _rows(
            self.conn, "constraints", {"tables": [table.oid for table in self.tables], "name": name}
        ):
            known.setdefault(oid, []).append((given, valid))
        return known

    def _add(self, table: _Table) -> Piece:
        _, end = name_at(self.text, self.node.relation.location)
        replaced = self.text.encode()[:end].decode()
        head = f"ALTER TABLE {table.sql}"
        rest = self._without_not_valid()[len(replaced) :]
        return Piece(f"{head}{rest}\nNOT VALID", len(head), len(replaced))

    def _without_not_valid(self) -> str:
        tokens = tree.tokens(self.text)
        data = self.text.encode()
        for first, second in pairwise(tokens):
            if (first.token, second.token) == (pb.NOT, pb.VALID):
                data = data[: first.start] + data[second.end :]
        return data.decode()

    def _validate(self, table: _Table, name: str) -> Piece:
        return Piece(f"ALTER TABLE {table.sql} VALIDATE CONSTRAINT {quoted(name)}")


def _short(name: str) -> str:
    """The name as the server would cut it, in whole characters."""
    return name.encode()[:_LONGEST].decode(errors="ignore")
