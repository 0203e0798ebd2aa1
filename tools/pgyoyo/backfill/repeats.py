"""Why a second UPDATE of a row that still satisfies the WHERE would not give what one gives."""

from dataclasses import replace

from psycopg import Connection

from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Targets
from pgyoyo.backfill.trigger_words import that_add_up
from pgyoyo.backfill.whole_rows import names_of
from pgyoyo.sql import tree
from pgyoyo.sql.update import BatchedUpdate


def with_repeats(conn: Connection, targets: Targets, *, triggers: str) -> Targets:
    """The targets whose UPDATE knows by the catalog, too, what would add up; `triggers` as in the limits.

    Its SET may read what it sets by a generated column or by the whole row, and a trigger may count or log each UPDATE.
    """
    update = targets.slice
    if not isinstance(update, BatchedUpdate) or update.adds_up or not targets.tables:
        return targets
    reason = _by_set(conn, update)
    if not reason and triggers == "fire":
        names = that_add_up(conn, targets.reached, update)
        reason = f"{names[0]} fires each time" if names else ""
    return replace(targets, slice=replace(update, adds_up=reason)) if reason else targets


def _by_set(conn: Connection, update: BatchedUpdate) -> str:
    """How its SET reads a column that it sets, though it does not name it."""
    rows = conn.execute(queries()["generated"].encode(), {"table": update.written}).fetchall()
    columns: dict[str, list[str]] = dict(rows)
    for names in _own(update):
        *_, name = names
        if set(columns.get(name, ())) & set(update.columns):
            return f"its SET reads {name}, which is generated from what it sets"
        qualified = len(names) > 1 and names[-2] == update.alias
        if (name == "*" and qualified) or (name not in columns and (qualified or names == [update.alias])):
            return f"its SET reads the whole row ({'.'.join(names)})"
    return ""


def _own(update: BatchedUpdate) -> list[list[str]]:
    """The columns in its SET, each as it is named there."""
    node = tree.parse(update.text)
    items = node.target_list if node is not None else ()
    return [names for item in items for part in tree.walk(tree.unwrap(item).val) if (names := names_of(part))]
