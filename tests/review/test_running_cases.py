"""The judgement of running statements beside what PostgreSQL does: tests/cases/queries/, each statement run before and after.

A file holds changes of the schema of schema.sql, each with statements of the release that is running:

    -- change: what it is
    ALTER TABLE …
    -- then VERDICT; with (values) (values)
    SELECT …

VERDICT is "fine", or rules with their severities. With the values, each in its turn, the statement is run on the schema
before and after, once as a new one and once prepared before the change. A write that fails for all values that it took before
is an error, one that fails for some a warning. Where FILE.before.sql makes tables for a file, they have so many rows that a
statement which has lost its index reads many times as many blocks as before.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from pgyoyo.migrations import reader
from pgyoyo.review.running import Running
from pgyoyo.scratch import databases
from pgyoyo.workload.statements import Query

FOLDER = Path(__file__).parents[1] / "cases" / "queries"
FILES = sorted(path for path in FOLDER.glob("*.sql") if path.stem.isidentifier() and path.stem != "schema")
FINE = "fine"
MANY = 5
OF_THE_SCHEMA = ("0A", "42", "55")


@dataclass(frozen=True)
class Statement:
    """A statement with the verdict that is expected, and the values it is tried with."""

    text: str
    verdict: frozenset[str]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A change of the schema, and the statements that it may break."""

    path: Path
    title: str
    text: str
    statements: tuple[Statement, ...]


def changes() -> Iterator[Change]:
    for path in FILES:
        for part in path.read_text().split("-- change: ")[1:]:
            title, _, rest = part.partition("\n")
            text, *parts = rest.split("-- then ")
            yield Change(path, title, text, tuple(map(statement, parts)))


def statement(part: str) -> Statement:
    head, _, text = part.partition("\n")
    verdict, _, values = head.partition("; with ")
    words = frozenset(word for word in verdict.split(", ") if word != FINE)
    return Statement(text.strip().removesuffix(";"), words, tuple(re.findall(r"\(.*?\)(?= \(|$)", values)))


ALL = list(changes())
FILE = reader.read_one(FOLDER / "schema.sql").apply


def answer(conn: psycopg.Connection, text: str) -> psycopg.Error | None:
    """The error of a statement, which is undone if it fails."""
    is_idle = conn.info.transaction_status == TransactionStatus.IDLE
    try:
        with nullcontext() if is_idle else conn.transaction():
            conn.execute(text.encode())
    except psycopg.Error as error:
        return error
    return None


def runs(conn: psycopg.Connection, name: str, each: Statement) -> list[psycopg.Error | None]:
    """What becomes of the prepared statement with each of its values in turn; all of it is undone."""
    with conn.transaction(force_rollback=True):
        return [answer(conn, f"EXECUTE {name}{values}") for values in each.values]


def prepare(conn: psycopg.Connection, when: str, change: Change) -> list[psycopg.Error | None]:
    """Prepare the statements; the errors of those that can't be, or that the planner refuses."""
    errors = []
    for n, each in enumerate(change.statements):
        nulls = ", ".join("NULL" for _ in set(re.findall(r"\$\d+", each.text)))
        name = f"{when}_{n}"
        error = answer(conn, f"PREPARE {name} AS {each.text}")
        if error is None:
            error = answer(conn, f"EXPLAIN EXECUTE {name}{f'({nulls})' if nulls else ''}")
            if error and not (error.sqlstate or "").startswith(OF_THE_SCHEMA):
                error = None  # a value that does not fit
        errors.append(error)
    return errors


def blocks(conn: psycopg.Connection, name: str, each: Statement) -> int:
    """How many blocks the prepared statement reads with the first of its values; it is undone."""
    with conn.transaction(force_rollback=True):
        text = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {name}{each.values[0]}"
        [(explained,)] = conn.execute(text.encode())
    return sum(explained[0]["Plan"][f"Shared {kind} Blocks"] for kind in ("Hit", "Read"))


def parameters(conn: psycopg.Connection) -> dict[str, list[str]]:
    """The types of the parameters of all prepared statements."""
    query = "SELECT name, parameter_types::regtype[]::text[] FROM pg_prepared_statements"
    return dict(conn.execute(query).fetchall())


def failing(after: Sequence[psycopg.Error | None]) -> str:
    """Whether a statement fails, and how surely, "" where it does not; what is unique lets the first row of three pass."""
    failures = [error for error in after if error]
    sure = len(failures) == len(after) or (len(after) > 2 and len(failures) == len(after) - 1)
    of_query = (*OF_THE_SCHEMA, "22P02")  # a value of another type than text
    rule = "query" if any((error.sqlstate or "").startswith(of_query) for error in failures) else "write"
    return f"breaks-running-{rule} {'error' if sure else 'warning'}" if failures else ""


@pytest.fixture(scope="module")
def conn(maker: psycopg.Connection, server_conninfo: str) -> Iterator[psycopg.Connection]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    databases.create(maker, name)
    with psycopg.connect(make_conninfo(server_conninfo, dbname=name), autocommit=True, prepare_threshold=None) as conn:
        yield conn
    databases.drop(maker, name)


@pytest.mark.parametrize("change", ALL, ids=lambda change: f"{change.path.stem}: {change.title}")
def test_the_verdict_on_each_statement_is_what_happens_when_it_runs(conn: psycopg.Connection, change: Change) -> None:
    conn.execute(b"DEALLOCATE ALL; DROP SCHEMA IF EXISTS app, cold CASCADE; CREATE SCHEMA app; SET search_path = app")
    conn.execute((FOLDER / "schema.sql").read_bytes())
    sized = change.path.with_suffix(".before.sql")
    if sized.exists():
        conn.execute(sized.read_bytes())
    if conn.info.server_version < 150000:
        change = replace(change, statements=tuple(each for each in change.statements if "MERGE" not in each.text))
    running = Running(change.path, [Query(each.text, f"q{n}") for n, each in enumerate(change.statements)])
    running.look(conn)
    assert prepare(conn, "old", change) == [None] * len(change.statements)
    for n, each in enumerate(change.statements):
        assert not any(runs(conn, f"old_{n}", each)), each.text
    read = [blocks(conn, f"old_{n}", each) for n, each in enumerate(change.statements)] if sized.exists() else []
    conn.execute(change.text.encode())
    findings, _ = running.judge(conn, FILE, [])
    conn.execute("ANALYZE event" if read else "")
    refused = prepare(conn, "new", change)
    types = parameters(conn)
    for n, each in enumerate(change.statements):
        judged = {f"{found.rule} {found.severity}" for found in findings if found.happens.startswith(f"q{n}:")}
        words = [found.happens for found in findings if found.happens.startswith(f"q{n}:")]
        assert judged == each.verdict, (each.text, words)
        if refused[n]:
            assert judged == {"breaks-running-query error"}, refused[n]
            continue
        shown = {failing(runs(conn, f"new_{n}", each))}
        prepared = runs(conn, f"old_{n}", each)
        if any(isinstance(error, psycopg.errors.FeatureNotSupported) for error in prepared):
            shown.add("changes-running-columns")
        if types[f"old_{n}"] != types[f"new_{n}"]:
            shown.add("changes-running-parameters")
        if read and blocks(conn, f"new_{n}", each) > MANY * read[n]:
            shown.add("query-loses-index")
        named = {words if "breaks" in words else words.split()[0] for words in judged}
        assert named == shown - {""}, (each.text, prepared)


def test_enough_cases_break_and_enough_do_not() -> None:
    cases = [each for change in ALL for each in change.statements]
    assert min(sum(bool(each.verdict) for each in cases), sum(not each.verdict for each in cases)) >= 60
