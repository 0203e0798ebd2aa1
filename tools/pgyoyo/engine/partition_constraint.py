"""ADD CONSTRAINT and VALIDATE CONSTRAINT on a partitioned table, partition by partition."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from postgast import pg_query_pb2 as pb
from psycopg import Connection

from pgyoyo.engine.partition_tree import Piece, Table, definition, rows
from pgyoyo.identifiers import qualified, quoted
from pgyoyo.sql import tree
from pgyoyo.sql.batched_text import name_at
from pgyoyo.sql.tree import Node


@dataclass(frozen=True, slots=True)
class _Known:
    """A constraint of one table; `definition` without NOT VALID."""

    name: str
    valid: bool
    definition: str = ""


@dataclass(frozen=True)
class Constraint:
    """ADD CONSTRAINT … CHECK or FOREIGN KEY, and VALIDATE CONSTRAINT: one partition is looked through at a time."""

    conn: Connection
    text: str
    node: Node
    tables: Sequence[Table]
    begun: bool

    def left(self) -> list[Piece] | None:
        """What is left to send; None where it is to be sent as it stands."""
        command, constraint = tree.unwrap(self.node.cmds[0]), self._given
        leaves = [table for table in self.tables if table.is_leaf]
        if tree.kind(constraint) != "Constraint":
            if command.subtype != pb.AT_ValidateConstraint:
                return None
            known = self._known(command.name, "f") or self._known(command.name, "c")
            left = [self._validate(table, known[table.oid].name) for table in leaves if self._waits(known, table)]
            own = known.get(self.tables[0].oid)
            # Sent also where nothing is left to look through: the table's own mark is set by it.
            return [*left, Piece(self.text)] if own and (left or not own.valid) else None
        name = constraint.conname
        is_key = bool(constraint.pk_attrs or constraint.fk_attrs)
        if not name or not (is_key or constraint.raw_expr.WhichOneof("node")) or constraint.is_no_inherit:
            return None
        waits = constraint.skip_validation
        if constraint.fk_with_period or (waits and (not is_key or self.conn.info.server_version >= 180000)):
            return None
        known = self._known(name, "f" if is_key else "c")
        own = known.get(self.tables[0].oid)
        if own and not self.begun:
            return None  # the server refuses it
        if own and not is_key:
            like = f"ALTER TABLE pg_temp._pgyoyo_like{self._rest()}"
            if own.definition != (definition(self.conn, self.tables[0], like) or own.definition):
                return None  # likewise
        if own and own.valid:
            return []
        left = []
        if is_key:
            keys, taken = self._keys(name, constraint)
            known = {**keys, **known}
            for table in leaves:
                if table.oid not in known:
                    known[table.oid] = _Known(_free(name, taken.get(table.oid, set())), valid=False)
                    left.append(self._add(table, known[table.oid].name))
        elif not own:
            left.append(self._add(self.tables[0], name))
            known |= {table.oid: _Known(name, valid=False) for table in leaves if table.oid not in known}
        left += [self._validate(table, known[table.oid].name) for table in leaves if self._waits(known, table)]
        # Those of the partitions are valid and become its own, so that nothing is looked through again.
        whole = self.text if is_key else f"ALTER TABLE {self.tables[0].sql} VALIDATE CONSTRAINT {quoted(name)}"
        return [*left, Piece(self._without_not_valid() if is_key and waits else whole)]

    @property
    def _given(self) -> Node:
        """What the command is about: in ADD CONSTRAINT, the constraint."""
        return tree.unwrap(getattr(tree.unwrap(self.node.cmds[0]), "def"))

    def _known(self, name: str, kind: str) -> dict[int, _Known]:
        """The constraint of the name of the table above, and those of the partitions that belong to it, by their tables."""
        root = self.tables[0].oid
        values = {"tables": [table.oid for table in self.tables], "root": root, "name": name, "kind": kind}
        return {oid: _Known(*row) for oid, *row in rows(self.conn, "constraints", values)}

    def _keys(self, name: str, key: Node) -> tuple[dict[int, _Known], dict[int, set[str]]]:
        """The foreign keys of the partitions that would become those of the new one, and the names that are taken there."""
        named = key.pktable
        values = {
            "tables": [table.oid for table in self.tables], "name": name,
            "referred": qualified(named.schemaname or None, named.relname), "deletes": key.fk_del_action,
            "updates": key.fk_upd_action, "match": key.fk_matchtype, "deferrable": key.deferrable,
            "deferred": key.initdeferred, "by_name": bool(key.fk_del_set_cols),
            "columns": [tree.unwrap(item).sval for item in key.fk_attrs],
            "keys": [tree.unwrap(item).sval for item in key.pk_attrs],
        }  # fmt: skip
        known: dict[int, _Known] = {}
        taken: dict[int, set[str]] = {}
        every = rows(self.conn, "keys", values)
        # Attached to that of a table between, which is taken over with all below it; not to another one of the table above.
        is_second = any(same for oid, _, _, same, _ in every if oid == self.tables[0].oid)
        for oid, given, valid, same, attached in every:
            if same and not (attached and is_second):
                known.setdefault(oid, _Known(given, valid))
            taken.setdefault(oid, set()).add(given)
        return known, taken

    @staticmethod
    def _waits(known: dict[int, _Known], table: Table) -> bool:
        return table.oid in known and not known[table.oid].valid

    def _add(self, table: Table, name: str) -> Piece:
        _, end = name_at(self.text, self.node.relation.location)
        replaced = self.text.encode()[:end].decode()
        head = f"ALTER TABLE {table.sql}"
        return Piece(f"{head}{self._rest(name)}\nNOT VALID", len(head), len(replaced))

    def _rest(self, name: str = "") -> str:
        """Its text from behind the table's name on, without NOT VALID; with another `name` for the constraint."""
        text = self._without_not_valid()
        _, end = name_at(text, self.node.relation.location)
        rest = text.encode()[end:].decode()
        if name in ("", self._given.conname):
            return rest
        data = text.encode()
        words = tree.tokens(text)
        place = next(number for number, word in enumerate(words) if word.token == pb.CONSTRAINT) + 1
        return (data[end : words[place].start] + quoted(name).encode() + data[words[place].end :]).decode()

    def _without_not_valid(self) -> str:
        if not self._given.skip_validation:
            return self.text  # a column may be named valid
        tokens = tree.tokens(self.text)
        data = self.text.encode()
        for first, second in pairwise(tokens):
            if (first.token, second.token) == (pb.NOT, pb.VALID):
                data = data[: first.start] + data[second.end :]
        return data.decode()

    def _validate(self, table: Table, name: str) -> Piece:
        return Piece(f"ALTER TABLE {table.sql} VALIDATE CONSTRAINT {quoted(name)}")


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or the first one with a number behind it that is not taken."""
    names = (name, *(f"{name.encode()[:59].decode(errors='ignore')}_{number}" for number in range(1, len(taken) + 1)))
    return next(each for each in names if each not in taken)
