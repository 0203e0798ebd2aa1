"""A few rows of a batch updated and rolled back in one message, which tells only whether all is as it should be."""

from collections import Counter

import psycopg

from pgyoyo.backfill.batch import Batches
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Table
from pgyoyo.identifiers import quoted


def rows_that_change_nothing_else(
    batches: Batches, table: Table, member: str | None, which: str, most: int
) -> int | None:
    """How many rows, `most` at most, were updated of those that `which` selects; None where anything else happened, or an
    error: then a closer look is needed. It stands before each batch, so that its time on the line counts.
    """
    update, conn = batches.slice, batches.runner.conn
    if not update.columns:
        return None
    sample = update.remaining(member=member, limit=most, which=which).replace("{", "{{").replace("}", "}}")
    places = "ANY (ARRAY(SELECT place::pg_catalog.tid FROM (" + sample + ") AS _pgyoyo_sample (place)))"  # noqa: S608 - the author's text
    own = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
    named = ", ".join(f"{quoted(update.alias)}.{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
    before = f"SELECT {own} FROM ONLY {table.name} WHERE ctid OPERATOR(pg_catalog.=) "  # noqa: S608 - quoted by the server
    before += places.replace("{{", "{").replace("}}", "}")
    statement = update.batch(f"{{ctid}} OPERATOR(pg_catalog.=) {places}", member=member, waiting=True)
    wrote = queries()["others_wrote"]
    parts = [
        "BEGIN",
        *batches.settings(),
        wrote,
        before,
        f"{statement}\nRETURNING {named}",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ]
    try:
        cursor = conn.execute("\n;\n".join([*parts, wrote, "ROLLBACK"]).encode())
        results = [cursor.fetchall()] if cursor.description else []
        while cursor.nextset():
            results += [cursor.fetchall()] if cursor.description else []
    except psycopg.Error:
        if conn.closed:
            raise
        conn.execute("ROLLBACK")
        return None
    first, old, new, last = results
    if Counter(old) != Counter(new):
        return None
    known = {oid: count for oid, _, count in first}
    more = {oid: count - known.get(oid, 0) - (len(new) if oid == table.oid else 0) for oid, _, count in last}
    return None if any(count > 0 for count in more.values()) else len(new)
