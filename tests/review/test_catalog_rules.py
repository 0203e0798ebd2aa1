"""The neighbours of each hazard: statements that a rule about the catalog is about too, and those that it is not.

Each case of neighbours.toml runs in a transaction that is rolled back, observed as a rehearsal observes.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.migrations import reader
from pgyoyo.review import catalog_facts, observation, rules
from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.observation import RelationNames
from pgyoyo.review.render.rule_page import PAIRS
from pgyoyo.review.sheet import ObservedStatement
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.sql import parser
from staging import begin

BEFORE = PAIRS / "before.sql"
CASES = tomllib.loads(Path(__file__).with_name("neighbours.toml").read_text(encoding="utf-8"))
Found = Callable[[dict[str, Any]], dict[str, str]]


@pytest.fixture(scope="module")
def tables(stage: RehearsalDatabases) -> tuple[Connection, Snapshot]:
    """A database with the tables of before.sql, and its catalog."""
    begin(stage, [reader.read_one(BEFORE)])
    return stage.copy.conn, snapshot.snapshot(stage.copy.conn)


@pytest.fixture
def findings(tables: tuple[Connection, Snapshot]) -> Found:
    """What happens by each rule that finds something in a case."""

    def findings(case: dict[str, Any]) -> dict[str, str]:
        conn, standing = tables
        file = reader.from_texts("0001_case", case["sql"], None).apply
        script = parser.parse(file.data)
        with conn.transaction(force_rollback=True):
            conn.execute(case.get("before", "").encode())
            names, before = RelationNames(conn), catalog_facts.read(conn)
            known = snapshot.snapshot(conn) if "before" in case else standing
            conn.execute("SET LOCAL search_path = public")  # the reading sets its own
            observed, held = [], ()
            for number, statement in enumerate(script.statements, start=1):
                was, first = names.now, observation.state(conn)
                conn.execute(script.text(statement))
                state = observation.state(conn)
                now = snapshot.snapshot(conn) if state.catalog != first.catalog else known
                names.look(conn)
                locks = names.locks(state.locks, number, len(script.statements))
                truncates = statement.name.startswith("TRUNCATE")
                observed.append(
                    ObservedStatement(
                        number, 1, script.text(statement).decode(), statement.name, taken=locks, held=held,
                        work=observation.work(first, state, was, names, truncates=truncates),
                        changes=tuple(snapshot.difference(known, now)), lock_timeout=100,
                    )
                )  # fmt: skip
                held, known = tuple(lock for lock in locks if lock.strong), now
            facts = Facts(before, catalog_facts.read(conn), conn.info.server_version)
            return {each.rule: each.happens for each in rules.findings(file, observed, (), facts)}

    return findings


@pytest.mark.parametrize("name", CASES)
def test_neighbour(findings: Found, name: str) -> None:
    case = CASES[name]
    found = findings(case)
    assert {*case.get("gives", ())} <= found.keys(), found
    assert not {*case.get("not", ())} & found.keys(), found
    assert "says" not in case or case["says"] in found.values(), found
