"""What the rows and the catalog of the target say to a review: read only, in short transactions, and no value is shown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, errors

from pgyoyo.queries import named
from pgyoyo.review.commands import commands
from pgyoyo.review.live_queries import Asked, LiveCatalog, asked
from pgyoyo.review.live_questions import Orphans, Question, Table, questions
from pgyoyo.review.relation_names import parts
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import NOTE, Finding, ObservedStatement, Review, Sheet
from pgyoyo.sql import tree
from pgyoyo.sql.intent import intent_of
from pgyoyo.units import number, size_words, time_words

RULE = "live-rows-refused"
MOST = 1_000  # rows that are counted
TIMEOUT = 3_000  # ms for a question
_QUERIES = Path(__file__).with_name("live_checks.sql")
_ROW_COMMANDS = ("UpdateStmt", "DeleteStmt", "InsertStmt", "MergeStmt", "CallStmt", "CopyStmt", "TruncateStmt")
_CHANGES_ROWS = ("update", "delete", "insert", "truncate", "copy", "code")

Name = tuple[str, str]


def with_live_checks(review: Review, conn: Connection) -> Review:
    """The same review with what the target's rows will refuse as findings, and with the state of its tables and replicas.

    A question that takes longer than TIMEOUT, or that the role may not ask, is a note of its sheet.
    """
    names = {_pair(name) for sheet in review.sheets for name in sheet.live}
    catalog = catalog_of(conn, names | tables_of(review, _public))
    given = list(answers(review, conn, catalog, _public))
    sheets = []
    for sheet in review.sheets:
        own = [answer for answer in given if answer.sheet is sheet]
        findings = [finding(answer, f"{rows_words(answer)} of the database now") for answer in own if answer.count]
        notes = [f"not asked of the database: {answer.ask.words}: {answer.refusal}" for answer in own if answer.refusal]
        live = {
            name: replace(table, remarks=remarks(catalog[_pair(name)])) if _pair(name) in catalog else table
            for name, table in sheet.live.items()
        }
        findings, notes = [*sheet.findings, *findings], [*sheet.notes, *dict.fromkeys(notes)]
        sheets.append(replace(sheet, findings=tuple(findings), notes=tuple(notes), live=live))
    return _with_activity(replace(review, sheets=tuple(sheets)), conn)


@dataclass(frozen=True, slots=True)
class Answer:
    """How many rows a statement refuses, or why that is not known; `changes`: an earlier one may change that."""

    sheet: Sheet
    statement: ObservedStatement
    ask: Asked
    count: int
    refusal: str
    changes: bool


def answers(
    review: Review, conn: Connection, catalog: Mapping[Name, LiveCatalog], home: Callable[[str], str]
) -> Iterator[Answer]:
    """What the rows of the session's database say to each question.

    `home` gives the schema of a table, by its name, that the rehearsal had in the schema public.
    """
    changed: set[Name] = set()
    for sheet in review.sheets:
        for statement in sheet.statements:
            for question in _questions(sheet, statement, home):
                for ask in asked(question, catalog, conn.info.server_version):
                    count, refusal = _count(conn, ask)
                    changes = ask.table in changed or _changes_rows_itself(statement)
                    yield Answer(sheet, statement, ask, count, refusal, changes)
            changed |= _changed(statement, catalog)


def tables_of(review: Review, home: Callable[[str], str]) -> set[Name]:
    """The tables, by schema and name, that the questions are about."""
    return {
        (table.schema or "public", table.name)
        for sheet in review.sheets
        for statement in sheet.statements
        for question in _questions(sheet, statement, home)
        for table in (question.table, *([question.parent] if isinstance(question, Orphans) else []))
    }


def _public(_: str) -> str:
    return "public"


def remarks(table: LiveCatalog) -> tuple[str, ...]:
    """What was wrong with a table before the migration."""
    names = ", ".join(each["name"] for each in table.unvalidated)
    invalid = ", ".join(table.invalid)
    return tuple(
        words
        for words in (invalid and f"invalid already: {invalid}", names and f"not validated already: {names}")
        if words
    )


# A fleet asks the same of each of its members.
_asked_by = cache(questions)
_intent = cache(intent_of)


def _questions(sheet: Sheet, statement: ObservedStatement, home: Callable[[str], str]) -> Iterator[Question]:
    """Its questions, with the schemas in which the rehearsal found the tables."""
    own = _asked_by(statement.sql)
    if not own or (_intent(statement.sql.encode()).any("code") and not statement.did):
        return  # code that did nothing in the rehearsal did not come to it
    locks = (*statement.takes, *sheet.locks)
    schemas = {
        pair[1]: pair[0] for lock in reversed(locks) if lock.relation.existed for pair in [_pair(lock.relation.name)]
    }

    def placed(table: Table) -> Table:
        there = table.schema or schemas.get(table.name, "public")
        return replace(table, schema=home(table.name) if there == "public" else there)

    for question in own:
        if isinstance(question, Orphans):
            yield replace(question, table=placed(question.table), parent=placed(question.parent))
        else:
            yield replace(question, table=placed(question.table))


def _pair(name: str) -> Name:
    schema, *rest = parts(name)
    return schema, rest[-1] if rest else schema


def _changed(statement: ObservedStatement, catalog: Mapping[Name, LiveCatalog]) -> set[Name]:
    """The tables whose rows may be others after the statement: those that it names, of code all."""
    intent = _intent(statement.sql.encode())
    if not intent.any(*_CHANGES_ROWS):
        return set()
    return {pair for pair in catalog if pair[1] in intent.names or "code" in intent.wants or not intent.names}


def _changes_rows_itself(statement: ObservedStatement) -> bool:
    """Whether code has, besides what refuses rows, commands that may correct them."""
    code = _intent(statement.sql.encode()).any("code")
    return code and any(tree.kind(command) in _ROW_COMMANDS for command in commands(statement.sql))


def finding(answer: Answer, rows: str) -> Finding:
    """A finding on the rows, as `rows` counts them; a note where earlier statements may correct them, or none fails."""
    ask, sheet, statement = answer.ask, answer.sheet, answer.statement
    happens = f"{rows}: {ask.words}"
    if answer.changes:
        happens += "; an earlier statement may change that"
    elif not ask.valid:
        happens += "; VALIDATE CONSTRAINT will fail for them"
    made = rulebook()[RULE].finding(
        sheet.path, statement.line, statement.number, happens, table=ask.table[1], source="live"
    )
    return replace(made, severity=NOTE) if answer.changes or not ask.valid else made


def rows_words(answer: Answer) -> str:
    """How many rows there are."""
    noun = answer.ask.noun
    return f"more than {MOST:,} {noun}s" if answer.count > MOST else number(answer.count, noun)


def catalog_of(conn: Connection, names: set[Name]) -> dict[Name, LiveCatalog]:
    """The tables of these names that are there."""
    pairs = sorted(names)
    values: dict[str, Any] = {"schemas": [schema for schema, _ in pairs], "names": [name for _, name in pairs]}
    query = named(_QUERIES)["tables"]
    try:
        rows = _read(conn, query, values | {"checks": True})
    except errors.LockNotAvailable:
        rows = _read(conn, query, values | {"checks": False})
    return {(schema, name): LiveCatalog(*facts) for schema, name, *facts in rows}


def _count(conn: Connection, ask: Asked) -> tuple[int, str]:
    """How many rows there are, up to one more than MOST; or why that is not known."""
    try:
        [(count,)] = _read(conn, f"SELECT count(*) FROM ({ask.query} LIMIT {MOST + 1}) AS few", None)  # noqa: S608 - quoted
    except errors.QueryCanceled:
        return 0, f"it takes longer than {time_words(TIMEOUT)}"
    except errors.LockNotAvailable:
        return 0, "the table is being altered"
    except psycopg.Error as error:
        if conn.closed:
            raise
        return 0, str(error.diag.message_primary or error)
    return count, ""


def _with_activity(review: Review, conn: Connection) -> Review:
    """With the VACUUMs on its tables, and the replicas."""
    running = {
        (schema, name): _vacuum_words(*facts) for schema, name, *facts in _read(conn, named(_QUERIES)["vacuums"], {})
    }
    replicas = [_replica_words(*facts) for facts in _read(conn, named(_QUERIES)["replicas"], {})]
    sheets = (
        replace(
            sheet,
            live={name: replace(table, running=running.get(_pair(name))) for name, table in sheet.live.items()},
        )
        for sheet in review.sheets
    )
    return replace(review, sheets=tuple(sheets), activity=(*review.activity, *replicas))


def _vacuum_words(phase: str, since: float | None, automatic: bool, wraparound: bool) -> str:  # noqa: FBT001 - a row
    words = "an autovacuum works on it" if automatic else "a VACUUM works on it"
    words += f" for {time_words(since * 1000)}" if since is not None else ""
    return words + (", to prevent wraparound: it does not give way" if wraparound else f" ({phase})")


def _replica_words(name: str, state: str | None, size: int | None, lag: float | None) -> str:
    if state is None or size is None:
        return f"replica {name}: not visible to this role"
    behind = (
        f"{size_words(size)}{f', {lag:.0f} s' if lag is not None and lag >= 1 else ''} behind" if size else "up to date"
    )
    return f"replica {name} is {behind if state == 'streaming' else f'in state {state}'}"


def _read(conn: Connection, query: str, values: Mapping[str, Any] | None) -> Sequence[tuple[Any, ...]]:
    """The rows of a query that writes nothing and waits for nobody; raises psycopg.Error."""
    with conn.transaction():
        conn.execute(
            "SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = '200ms'; SET LOCAL search_path = pg_catalog, pg_temp; "
            f"SET LOCAL row_security = off; SET LOCAL statement_timeout = {TIMEOUT}; "
            "SET LOCAL max_parallel_workers_per_gather = 0".encode()
        )
        return conn.execute(query.encode(), values).fetchall()
