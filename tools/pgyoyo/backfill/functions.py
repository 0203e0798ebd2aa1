"""Whether the functions that a statement calls may see rows of its own table, which other batches have changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection, Error
from psycopg.rows import class_row

from pgyoyo.backfill.queries import queries
from pgyoyo.identifiers import quoted
from pgyoyo.sql import tree
from pgyoyo.sql.batched import Batched, RefusedError
from pgyoyo.sql.tree import Node

_HOW = 'write the expression itself, or allow it in the header: "backfill: batched, functions fire"'


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is not built in; `definition` is its CREATE FUNCTION, `source` a body in quotes."""

    oid: int
    name: str
    language: str
    definition: str
    source: str | None
    trusted: bool


def refuse_readers(conn: Connection, batched: Batched, tables: Sequence[int], *, skipping: bool) -> None:
    """Raise RefusedError for a function, called in the statement or by a function of it, that reads one of the tables
    (oids), by a view too, or that can't be looked into; leaves nothing behind.

    Functions of operators and aggregates count as called, and so do those of the triggers that fire, or with `skipping` of
    those that fire in spite of session_replication_role = replica; what they read is refused where it can be seen.
    """
    seen: set[int] = set()
    todo = [(call, "", True) for call in dict.fromkeys([*_calls([tree.parse(batched.text)]), *_reached(conn, batched)])]
    query = queries()["trigger_functions"].encode()
    values = {"tables": list(tables), "event": batched.TRIGGER, "columns": list(batched.columns), "skipping": skipping}
    fired = conn.execute(query, values).fetchall()
    todo += [((schema, name), f"the trigger {trigger}", False) for schema, name, trigger in fired]
    while todo:
        (schema, name), caller, strict = todo.pop()
        cursor = conn.cursor(row_factory=class_row(Function))
        for function in cursor.execute(queries()["functions"].encode(), {"schema": schema, "name": name}).fetchall():
            if function.oid in seen:
                continue
            seen.add(function.oid)
            called = f"{function.name}()" + (f", called by {caller}," if caller else "")
            nodes = None if function.trusted else _body(function)
            if nodes is None and strict and not function.trusted:
                raise RefusedError(
                    batched.line,
                    f"can't run in batches: what {called} reads can't be seen (language {function.language}, or a dynamic "
                    f"EXECUTE); {_HOW}",
                )
            relations = _relations(nodes or [])
            for relation in relations:
                view = {"view": relation, "tables": tables}
                if conn.execute(queries()["view_of"].encode(), view).fetchone() == (True,):
                    raise RefusedError(
                        batched.line,
                        f"can't run in batches: {called} reads {relation}, and other batches will have changed some of its "
                        f"rows; {_HOW}",
                    )
            more = [*_calls(nodes or []), *(_depending(conn, relations) if relations else ())]
            todo += [(call, f"{function.name}()", strict) for call in more]


def _reached(conn: Connection, batched: Batched) -> list[tuple[str | None, str]]:
    """Schema and name of each function that a statement calls by what the server makes of it: as a cast, as if it were a
    column (t.f), in a view or by a domain; none where the role may make no function of its own session.
    """
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET LOCAL lock_timeout = 1000")
            head = "CREATE FUNCTION pg_temp._pgyoyo_reads() RETURNS void LANGUAGE sql BEGIN ATOMIC"
            conn.execute(f"{head}\n{batched.text}\n; END".encode())
            return _depending(conn, [])
    except Error:
        if conn.closed:
            raise
        return []


def _depending(conn: Connection, relations: Sequence[str]) -> list[tuple[str | None, str]]:
    """The functions that views call, and that our own of this session does."""
    return conn.execute(queries()["reached"].encode(), {"relations": list(relations)}).fetchall()


def _body(function: Function) -> list[Node] | None:
    """The statements and expressions of a body; None if it can't be read."""
    if function.language == "sql":
        text = function.definition
        if function.source:
            text = f"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC {function.source}\n; END"
        node = tree.parse(text)
        return None if node is None else [node]
    body = tree.parse_body(function.definition) if function.language == "plpgsql" else []
    parts = list(tree.body_parts(body))
    if not body or any("PLpgSQL_stmt_dyn" in key for key, _ in parts):
        return None
    texts = [value for key, value in parts if key == "query"]
    # What stands there is a statement, an expression, or an assignment, x := y.
    nodes = [
        tree.parse(text) or tree.parse(f"SELECT {text}") or tree.parse(f"SELECT {text.partition('=')[2]}")
        for text in texts
    ]
    return None if any(node is None for node in nodes) else nodes


def _calls(nodes: Sequence[Node]) -> list[tuple[str | None, str]]:
    """Schema, if it is written, and name of each function that is called, and of each operator."""
    parts = [part for node in nodes for part in tree.walk(node)]
    calls = [part.funcname for part in parts if tree.kind(part) == "FuncCall"]
    calls += [part.name for part in parts if tree.kind(part) == "A_Expr"]
    named = [[tree.unwrap(name).sval for name in call] for call in calls]
    return [(names[-2] if len(names) > 1 else None, names[-1]) for names in dict.fromkeys(map(tuple, named))]


def _relations(nodes: Sequence[Node]) -> list[str]:
    parts = [part for node in nodes for part in tree.walk(node) if tree.kind(part) == "RangeVar"]
    return [".".join(quoted(name) for name in (part.schemaname, part.relname) if name) for part in parts]
