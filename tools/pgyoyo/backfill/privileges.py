"""Whether the role may do what batches do besides the statement itself."""

from psycopg import Connection

from pgyoyo.backfill.tables import Table, Targets
from pgyoyo.sql.batched import RefusedError

# On each table that is walked: to lock a row takes the right to update one.
_NEEDS = {"update": ("SELECT", "UPDATE"), "delete": ("SELECT", "UPDATE", "DELETE"), "insert": ("SELECT",)}


def refuse_missing_privileges(conn: Connection, targets: Targets) -> None:
    """Raises RefusedError with the GRANT that is missing, on a partition where its parent's are not enough."""
    batched = targets.slice
    for table in targets.tables:
        if lacks := ", ".join(name for name in _NEEDS[batched.VERB] if name not in table.allowed):
            why = "reads rows by their place" if lacks == "SELECT" else "locks rows of its table"
            raise RefusedError(batched.line, _words(conn, lacks, table, why))
    if batched.VERB == "insert" and not may_look(targets):
        raise RefusedError(batched.line, _words(conn, "SELECT", targets.written[0], "looks up which rows are there"))


def may_look(targets: Targets) -> bool:
    """Whether the role may count the rows that satisfy the WHERE, or that are not inserted."""
    if targets.slice.VERB == "insert" and not all(
        "SELECT of columns" in table.allowed for table in targets.written[:1]
    ):
        return False
    return all("SELECT" in table.allowed for table in targets.tables)


def _words(conn: Connection, names: str, table: Table, why: str) -> str:
    [(role,)] = conn.execute("SELECT pg_catalog.quote_ident(CURRENT_USER)").fetchall()
    grant = f"GRANT {names} ON {table.name} TO {role}"
    return f"can't run in batches: a batch {why}, and this role lacks {names} on {table.name}: {grant}"
