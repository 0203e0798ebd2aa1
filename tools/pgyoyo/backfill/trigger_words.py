"""The triggers that a backfill fires, each with what its function does, as far as that can be read."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from pgyoyo.backfill.queries import queries
from pgyoyo.sql import tree
from pgyoyo.sql.batched import Batched

_ASSIGNED = re.compile(r'(?is)\s*new\s*\.\s*("(?:[^"]|"")+"|\w+)\s*:?=')
_WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


class _Fired(NamedTuple):
    name: str
    when: str
    for_each_row: bool
    language: str
    definition: str


def trigger_words(conn: Connection, tables: Sequence[int], batched: Batched, *, skipping: bool) -> str:
    """The triggers of these tables (oids) that a statement fires, with what they do: touch (BEFORE: sets seen), audit (AFTER,
    once a batch: writes to log).

    `skipping` for those that fire with session_replication_role = replica. Reads only the catalog.
    """
    fired = _fired(conn, tables, batched, skipping=skipping)
    # Partitions have copies of their parent's.
    return ", ".join(dict.fromkeys(f"{each.name} ({each.when}{_often(each)}: {_does(each)})" for each in fired))


def that_add_up(conn: Connection, tables: Sequence[int], batched: Batched) -> list[str]:
    """The triggers that do more when a row is updated again, as far as that can be read, each with what it does.

    They write to another table, or compute a column that the statement does not set from its own value.
    """
    lines = []
    for each in _fired(conn, tables, batched, skipping=False):
        does = _does(each)
        if "writes to " in does:
            lines.append(f"the trigger {each.name} ({does})")
            continue
        for column, value in _assignments(each):
            name = column if column.startswith('"') else column.lower()
            own = rf"(?is)\b(?:old|new)\s*\.\s*{re.escape(name)}(?![\w\"])"
            if name.strip('"').replace('""', '"') not in batched.columns and re.search(own, value):
                lines.append(f"the trigger {each.name} ({does})")
                break
    return lines


def _fired(conn: Connection, tables: Sequence[int], batched: Batched, *, skipping: bool) -> list[_Fired]:
    values = {"tables": list(tables), "event": batched.TRIGGER, "columns": list(batched.columns), "skipping": skipping}
    cursor = conn.cursor(row_factory=class_row(_Fired))
    return cursor.execute(queries()["fired"].encode(), values).fetchall()


def _assignments(fired: _Fired) -> list[tuple[str, str]]:
    """The columns of NEW that it sets, each with the expression."""
    body = tree.parse_body(fired.definition) if fired.language == "plpgsql" else []
    texts = [value for key, value in tree.body_parts(body) if key == "query" and isinstance(value, str)]
    return [(match[1], text[match.end() :]) for text in texts if (match := _ASSIGNED.match(text))]


def _often(fired: _Fired) -> str:
    return "" if fired.for_each_row else ", once a batch"


def _does(fired: _Fired) -> str:
    body = tree.parse_body(fired.definition) if fired.language == "plpgsql" else []
    parts = list(tree.body_parts(body))
    if not body:
        return f"what it does can't be seen (language {fired.language})"
    queries_ = [value for key, value in parts if key == "query" and isinstance(value, str)]
    columns = [column for column, _ in _assignments(fired)]
    nodes = [node for text in queries_ if (node := tree.parse(text)) is not None]
    written = [part.relation.relname for node in nodes for part in tree.walk(node) if tree.kind(part) in _WRITES]
    keeps = fired.for_each_row and fired.when == "BEFORE" and _returns_null(parts)
    does = [
        f"sets {', '.join(dict.fromkeys(columns))}" if columns else "",
        f"writes to {', '.join(dict.fromkeys(written))}" if written else "",
        "runs SQL that it composes" if any("PLpgSQL_stmt_dyn" in key for key, _ in parts) else "",
        "may leave rows out" if keeps else "",
    ]
    return "; ".join(filter(None, does)) or "writes nothing itself"


def _returns_null(parts: Sequence[tuple[str, object]]) -> bool:
    returned = [value for key, value in parts if key == "PLpgSQL_stmt_return"]
    texts = [str(text) for each in returned for key, text in tree.body_parts(each) if key == "query"]
    return any(text.strip().lower() == "null" for text in texts)
