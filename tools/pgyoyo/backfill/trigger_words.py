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
        queries_ = _queries(_parts(each))
        if _written(queries_) or any(_counts_on(column, value, batched) for column, value in _assignments(queries_)):
            lines.append(f"the trigger {each.name} ({_does(each)})")
    return lines


def _counts_on(column: str, value: str, batched: Batched) -> bool:
    """Whether a column that the statement does not set gets a value made from its own."""
    name = column if column.startswith('"') else column.lower()
    own = rf"(?is)\b(?:old|new)\s*\.\s*{re.escape(name)}(?![\w\"])"
    return name.strip('"').replace('""', '"') not in batched.columns and re.search(own, value) is not None


def _fired(conn: Connection, tables: Sequence[int], batched: Batched, *, skipping: bool) -> list[_Fired]:
    values = {"tables": list(tables), "event": batched.TRIGGER, "columns": list(batched.columns), "skipping": skipping}
    cursor = conn.cursor(row_factory=class_row(_Fired))
    return cursor.execute(queries()["fired"].encode(), values).fetchall()


def _parts(fired: _Fired) -> list[tuple[str, object]]:
    """The parts of its body; none where that can't be seen."""
    return list(tree.body_parts(tree.parse_body(fired.definition) if fired.language == "plpgsql" else []))


def _queries(parts: Sequence[tuple[str, object]]) -> list[str]:
    return [value for key, value in parts if key == "query" and isinstance(value, str)]


def _assignments(queries_: Sequence[str]) -> list[tuple[str, str]]:
    """The columns of NEW that are set, each with the expression."""
    return [(match[1], text[match.end() :]) for text in queries_ if (match := _ASSIGNED.match(text))]


def _written(queries_: Sequence[str]) -> list[str]:
    """The tables that are written to."""
    nodes = [node for text in queries_ if (node := tree.parse(text)) is not None]
    return [part.relation.relname for node in nodes for part in tree.walk(node) if tree.kind(part) in _WRITES]


def _often(fired: _Fired) -> str:
    return "" if fired.for_each_row else ", once a batch"


def _does(fired: _Fired) -> str:
    parts = _parts(fired)
    if not parts:
        return f"what it does can't be seen (language {fired.language})"
    queries_ = _queries(parts)
    columns, written = [column for column, _ in _assignments(queries_)], _written(queries_)
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
