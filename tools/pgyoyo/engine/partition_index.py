"""CREATE INDEX CONCURRENTLY on a partitioned table, partition by partition."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg import Connection

from pgyoyo.engine.partition_tree import Piece, Table, TakenError, definition, rows, short
from pgyoyo.identifiers import qualified, quoted
from pgyoyo.sql.batched_text import name_at
from pgyoyo.sql.tree import Node


@dataclass(frozen=True)
class Index:
    """CREATE INDEX CONCURRENTLY: ON ONLY what has partitions, CONCURRENTLY on what has rows, then attached."""

    conn: Connection
    text: str
    node: Node
    tables: Sequence[Table]
    begun: bool

    def left(self) -> list[Piece]:
        """What is left to send; raises ValueError, or TakenError."""
        for table in self.tables:
            if table.kind == "f":
                raise ValueError(f"its partition {table.shown} is a foreign table, which can have no index")
        there = rows(self.conn, "indexes", {"tables": [table.oid for table in self.tables]})
        # By its table and what it is attached to: the index of each table, valid or not.
        root = self.tables[0]
        whole = next((row for row in there if row[0] == root.oid and row[2] == self.name), None)
        wanted = definition(self.conn, root, self._create(root, self.name, on="pg_temp._pgyoyo_like").text)
        if whole:
            wanted = wanted or whole[6]
            if whole[4] and not (self.begun or self.node.if_not_exists):
                raise TakenError(f"there is an index {whole[3]}; drop it or choose another name")
            if whole[6] != wanted and not (whole[4] and self.node.if_not_exists):
                raise TakenError(f"there is another index {whole[3]}; drop it or choose another name")
            if whole[4]:
                return []
        own, names = {root.oid: whole}, self._names(there, wanted)
        left = [] if whole else [self._create(root, self.name)]
        for table in self.tables[1:]:
            above = own.get(table.parent)
            attached = next((row for row in there if above and row[0] == table.oid and row[5] == above[1]), None)
            own[table.oid] = attached
            if attached:
                continue
            name = names[table.oid]
            free = [row for row in there if row[0] == table.oid and not row[5] and row[6] == wanted]
            valid = next((row for row in free if row[4] or not table.is_leaf), None)
            own[table.oid] = valid
            if not valid:
                left += [
                    Piece(f"DROP INDEX CONCURRENTLY {qualified(table.schema, name)}") for row in free if row[2] == name
                ]
                left.append(self._create(table, name))
            parent = next(each for each in self.tables if each.oid == table.parent)
            parent_index = above[3] if above else qualified(parent.schema, names[parent.oid])
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
        return self.node.idxname or short("_".join((self.node.relation.relname, *columns, "idx")))

    def _names(self, there: Sequence[Any], wanted: str | None) -> dict[int, str]:
        """The name of each table's index, by the table's oid: with a number behind it where something else has it."""
        names, given = {self.tables[0].oid: self.name}, set[tuple[str, str]]()
        # What an earlier attempt built has the name that it would get again.
        own = {(row[0], row[2]) for row in there if not row[5] and row[6] == wanted}
        open_, number = list(self.tables[1:]), 0
        while open_:
            wished = {
                table.oid: short(f"{table.name}_{self.name}", f"{number or ''}") for table in open_
            }  # fmt: skip
            places = {"schemas": [table.schema for table in open_], "names": list(wished.values())}
            taken = set(rows(self.conn, "taken", places))
            rest = []
            for table in open_:
                name = wished[table.oid]
                place = table.schema, name
                if place in given or (place in taken and (table.oid, name) not in own):
                    rest.append(table)
                else:
                    names[table.oid] = name
                    given.add(place)
            open_, number = rest, number + 1
        return names

    def _create(self, table: Table, name: str, *, on: str = "") -> Piece:
        """Its own text from behind the table's name on, with another begin; `on` a plain table in place of the partition."""
        _, end = name_at(self.text, self.node.relation.location)
        replaced = self.text.encode()[:end].decode()
        unique = "UNIQUE " if self.node.unique else ""
        how, only = ("", "") if on else ("CONCURRENTLY ", "") if table.is_leaf else ("", "ONLY ")
        head = f"CREATE {unique}INDEX {how}{quoted(name)} ON {only}{on or table.sql}"
        return Piece(head + self.text[len(replaced) :], len(head), len(replaced))
