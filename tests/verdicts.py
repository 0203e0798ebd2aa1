"""Statements with the truth about each, in tests/cases/verdicts, and the verdict of the review's rules on them.

A case is a line. In rows_*.sql it is a statement that takes no lock that others feel; in single_*.sql one that runs in a
transaction of its own; in files_*.sql a whole migration; more_*.sql is as rows_*.sql, for the benchmark alone.
`/* since 17 */` begins a line that an older PostgreSQL lacks.

The truth is what tests/benchmarks/verdicts.py measures: "harm" if a statement whose work grew with the rows ran while a
second session could not read or write a table that was there before, or if the rows that it could not update grew with
them; else "fine". A verdict is fine if there is no finding above a note.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pgyoyo.migrations import reader
from pgyoyo.review import rules
from pgyoyo.review.rehearsal import Rehearsal
from pgyoyo.review.sheet import NOTE, Finding
from pgyoyo.review.stage import RehearsalDatabases

FOLDER = Path(__file__).parent / "cases" / "verdicts"
SCHEMA = reader.from_texts("0001_schema", (FOLDER / "schema.sql").read_text(), None)
KINDS = ("rows", "single", "files", "more")
HARM, FINE = "harm", "fine"


class Case(NamedTuple):
    kind: str
    truth: str
    sql: str
    since: int  # the first version of the server that knows it

    @property
    def name(self) -> str:
        return re.sub(r"\W+", "-", self.sql)[:90]


def cases(kind: str, version: int | None = None) -> list[Case]:
    """The cases of a kind, in the order of the files, for a server of that version; of all versions without it."""
    found = [
        Case(kind, truth, line, int(match[1]) if (match := re.match(r"/\* since (\d+) \*/", line)) else 0)
        for truth in (HARM, FINE)
        for line in (FOLDER / f"{kind}_{truth}.sql").read_text().splitlines()
    ]
    return [case for case in found if version is None or case.since <= version // 10000]


def verdict(findings: Sequence[Finding]) -> str:
    return HARM if any(finding.severity != NOTE for finding in findings) else FINE


def report(findings: Sequence[Finding]) -> str:
    return "\n".join(f"{finding.severity} {finding.rule}: {finding.happens}" for finding in findings)


def judged(stage: RehearsalDatabases, text: str) -> list[Finding]:
    """The findings on a file; every statement of it ran."""
    migration = reader.from_texts("0002_x", text, None)
    rehearsal: Rehearsal = stage.rehearse(migration)
    failed = [(seen.sql, seen.error) for seen in rehearsal.statements if seen.state != "ran"]
    assert not failed, failed[0]
    return rules.findings(migration.apply, rehearsal.statements, rehearsal.invalid(), rehearsal.facts())


def judged_together(stage: RehearsalDatabases, together: Sequence[Case]) -> dict[Case, list[Finding]]:
    """The findings on each of the cases, all of them rows or single, rehearsed in one file.

    On empty tables no statement about rows leaves anything for the next, and each single one has objects of its own.
    """
    head = "" if together[0].kind in ("rows", "more") else "-- transactional: false\n"
    result: dict[Case, list[Finding]] = {case: [] for case in together}
    for finding in judged(stage, head + ";\n".join(case.sql for case in together)):
        assert finding.statement
        result[together[finding.statement - 1]].append(finding)
    return result
