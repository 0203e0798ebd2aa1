"""What PostgreSQL does only to a whole partitioned table, partition by partition: an index built CONCURRENTLY, a constraint.

Such a statement stands in a file outside a transaction. Each look at the catalog gives the statements that are left, so that
a run that was killed goes on where it was.
"""

from postgast import pg_query_pb2 as pb
from psycopg import Connection

from pgyoyo.engine.partition_constraint import Constraint
from pgyoyo.engine.partition_index import Index
from pgyoyo.engine.partition_tree import Piece, tables
from pgyoyo.sql import tree


def pieces(conn: Connection, text: bytes, *, begun: bool = True) -> list[Piece] | None:
    """The statements that are left to do for a statement on a partitioned table; None where it is to be sent as it stands.

    Where no earlier run has `begun` it, what is there under its name is not its own, but for an index that is not valid yet
    and the same. Reads only, but for a temporary table that is rolled back. Raises ValueError with the reason where it can't
    be done partition by partition, TakenError where the name is taken.
    """
    words = text.lower()
    if not (b"concurrently" in words and b"index" in words) and b"constraint" not in words:
        return None
    statement = text.decode(errors="replace")
    node = tree.parse(statement)
    if tree.kind(node) == "IndexStmt" and node.concurrent and node.relation.inh:  # type: ignore[union-attr]
        every = tables(conn, node)
        return Index(conn, statement, node, every, begun).left() if every else None
    if tree.kind(node) == "AlterTableStmt" and len(node.cmds) == 1 and node.relation.inh:  # type: ignore[union-attr]
        every = tables(conn, node)
        return Constraint(conn, statement, node, every, begun).left() if every else None
    return None


def is_validation(text: bytes) -> bool:
    """Whether it is a VALIDATE CONSTRAINT, which may be sent again."""
    node = tree.parse(text.decode(errors="replace")) if b"validate" in text.lower() else None
    return tree.kind(node) == "AlterTableStmt" and all(
        tree.unwrap(command).subtype == pb.AT_ValidateConstraint
        for command in node.cmds  # type: ignore[union-attr]
    )
