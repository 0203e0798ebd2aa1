"""Verdicts of the review beside the truth: what a second session could do meanwhile, and how the work grew with the rows.

Run it with: python tests/benchmarks/verdicts.py [WORD], on the server of DATABASE_URL (a superuser's), else on one of its
own, of the version in PGYOYO_TEST_POSTGRES. WORD chooses the statements that have it. Prints each statement with what was
seen and the rules, then counts; exits with 1 where truth or verdict is not what tests/cases/verdicts has.
"""

import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import Connection, errors

sys.path.insert(0, str(Path(__file__).parents[1]))

from own_server import superuser
from pgyoyo.console import Console
from pgyoyo.engine import wire
from pgyoyo.queries import named
from pgyoyo.review.filling import QUERIES
from pgyoyo.review.sheet import Finding
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.scratch import databases
from pgyoyo.sql import parser
from staging import DEFAULTS, begin
from verdicts import FINE, FOLDER, HARM, KINDS, SCHEMA, Case, cases, judged, judged_together, verdict

SIZES = (4_000, 16_000)  # rows of the larger tables
_MANY = 500  # rows or blocks: growth below it is that of an index
_MANY_ROWS = 100  # rows locked


class Seen(NamedTuple):
    """Of a statement: rows and blocks read or changed, tables that a second session can't use, rows it can't update."""

    work: int
    blocked: int
    locked: int


def main(word: str) -> int:
    with superuser({"fsync": "off", "autovacuum": "off"}) as url, ExitStack() as stack:
        admin = stack.enter_context(databases.server(url))
        version = admin.info.server_version
        chosen = [case for kind in KINDS for case in cases(kind, version) if word in case.sql]
        filled = [stack.enter_context(_filled(admin, url, size)) for size in SIZES]
        verdicts = _verdicts(admin, chosen)
        counts: Counter[str] = Counter()
        for case in chosen:
            few, many = (_seen(admin, url, template, case) for template in filled)
            truth = HARM if _harms(few, many) else FINE
            shown = verdict(verdicts[case])
            rules = ", ".join(dict.fromkeys(f"{each.rule} ({each.severity})" for each in verdicts[case]))
            agrees = truth == shown == case.truth
            counts[f"{truth} in truth"] += 1
            counts["agree" if agrees else "DISAGREE"] += 1
            flag = "  " if agrees else "! "
            print(
                f"{flag}truth {truth}, verdict {shown}: {case.sql}\n     {few} {many}\n     {rules or '-'}", flush=True
            )
        print(f"PostgreSQL {version // 10000}.{version % 10000}: {len(chosen)} statements, {dict(counts)}")
    return 1 if counts["DISAGREE"] else 0


def _harms(few: Sequence[Seen], many: Sequence[Seen]) -> bool:
    return any(
        (later.work >= 2 * first.work and later.work - first.work > _MANY and later.blocked > 0)
        or (later.locked >= 2 * first.locked and later.locked - first.locked > _MANY_ROWS)
        for first, later in zip(few, many, strict=True)
    )


def _verdicts(admin: Connection, chosen: Sequence[Case]) -> dict[Case, list[Finding]]:
    with ExitStack() as stack:
        stage = RehearsalDatabases(admin, Console(quiet=True), stack, DEFAULTS)
        result = {}
        for kind in ("rows", "more", "single"):
            begin(stage, [SCHEMA])
            together = [case for case in chosen if case.kind == kind]
            result |= judged_together(stage, together) if together else {}
        for case in chosen:
            if case.kind == "files":
                begin(stage, [SCHEMA])
                result[case] = judged(stage, case.sql)
        return result


@contextmanager
def _filled(admin: Connection, url: str, rows: int) -> Iterator[str]:
    """The name of a database with that many rows in its tables."""
    with databases.database(admin) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute(SCHEMA.apply.data)
            conn.execute((FOLDER / "data.sql").read_text().replace(":n", str(rows)).encode())
        yield psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]


def _seen(admin: Connection, url: str, template: str, case: Case) -> list[Seen]:
    """What was seen of each statement of a case in a copy of that database."""
    with (
        databases.database(admin, template=template) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as runner,
        psycopg.connect(conninfo, autocommit=True) as second,
    ):
        second.execute("SET lock_timeout = '20ms'")
        query = (
            "SELECT oid::regclass::text, relkind = 'm', oid::bigint FROM pg_class "
            "WHERE relkind IN ('r', 'p', 'm') AND oid >= 16384"
        )
        tables = second.execute(query).fetchall()
        script = parser.parse(case.sql.encode())
        if any(statement.needs_autocommit for statement in script.statements):
            return [_outside(runner, second, conninfo, case.sql, tables)]
        runner.execute("BEGIN")
        counts = named(QUERIES)["counts"].replace("%%", "%").encode()
        result = []
        for statement in script.statements:
            runner.execute("SAVEPOINT here")
            before = {row[0]: row[3:-1] for row in runner.execute(counts)}
            if error := wire.send(runner, script.text(statement)).error:  # COPY, too
                raise error
            after = {row[0]: row[3:-1] for row in runner.execute(counts)}
            there = {oid for _, _, oid in tables}
            work = sum(sum(row) - sum(before.get(oid, ())) for oid, row in after.items() if oid in there)
            result.append(Seen(work, *_second_session(second, tables)))
        return result


def _second_session(second: Connection, tables: Sequence[tuple[str, bool, int]]) -> tuple[int, int]:
    """How many tables it could not read or write, and how many rows it could not update."""
    blocked = locked = 0
    for table, is_view, _ in tables:
        try:
            with second.transaction(force_rollback=True):
                row = second.execute(f"SELECT count(*) FROM ONLY {table}".encode()).fetchone()
                if not is_view:
                    second.execute(f"LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE".encode())
                    free = f"SELECT count(*) FROM (SELECT FROM ONLY {table} FOR NO KEY UPDATE SKIP LOCKED) AS free"
                    left = second.execute(free.encode()).fetchone()
                    assert row
                    assert left
                    locked += row[0] - left[0]
        except errors.LockNotAvailable:
            blocked += 1
    return blocked, locked


def _outside(
    runner: Connection, second: Connection, conninfo: str, text: str, tables: Sequence[tuple[str, bool, int]]
) -> Seen:
    """A statement that can't be in a transaction, looked at while it waits for one that wrote to all tables."""
    with psycopg.connect(conninfo) as writer:
        for table, is_view, _ in tables:
            if not is_view:
                writer.execute(f"LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE".encode())
        worker = threading.Thread(target=runner.execute, args=(text.encode(),))
        worker.start()
        waits = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
        while worker.is_alive() and second.execute(waits, [runner.info.backend_pid]).fetchone() != ("Lock",):
            worker.join(0.01)
        blocked, locked = _second_session(second, tables)
        writer.rollback()
        worker.join()
    # All of its work counts, since its rows can't be counted: it reads tables.
    return Seen(0, blocked, locked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
