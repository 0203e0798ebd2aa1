"""The verdict on statements against the truth: what a second session could do meanwhile, and how the work grew with the rows.

Of tests/cases/verdicts: a case is a line. In rows_*.sql it is a statement that takes no lock that others feel; in files_*.sql
a migration that holds a lock, or checks a table. The truth was measured once by hand, on 4,000 and 16,000 rows a table.
"harm": a statement whose work grew with the rows ran while a second session could not read or write a table that was there
before, or the rows that it could not update grew with them. "fine": neither. A verdict is fine if there is no finding above a
note.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from pgyoyo.migrations import reader
from pgyoyo.review import rules
from pgyoyo.review.rehearsal import Rehearsal
from pgyoyo.review.sheet import NOTE, Finding
from pgyoyo.review.stage import RehearsalDatabases
from staging import begin

CASES = Path(__file__).parents[1] / "cases" / "verdicts"
SCHEMA = reader.from_texts("0001_schema", (CASES / "schema.sql").read_text(), None)


class Case(NamedTuple):
    truth: str
    sql: str


def cases(kind: str) -> list[Case]:
    """The lines of rows_harm.sql, rows_fine.sql, files_harm.sql, files_fine.sql, each a case."""
    return [
        Case(truth, sql)
        for truth in ("harm", "fine")
        for sql in (CASES / f"{kind}_{truth}.sql").read_text().splitlines()
    ]


def is_known(case: Case, stage: RehearsalDatabases) -> bool:
    """Whether the server knows the statement: MERGE came with PostgreSQL 15."""
    return stage.admin.info.server_version >= 150000 or not case.sql.startswith("MERGE")


def verdict(findings: list[Finding]) -> str:
    return "harm" if any(finding.severity != NOTE for finding in findings) else "fine"


def report(findings: list[Finding]) -> str:
    return "\n".join(f"{finding.severity} {finding.rule}: {finding.happens}" for finding in findings)


def judged(stage: RehearsalDatabases, sql: str) -> list[Finding]:
    """The findings on a file; every statement of it ran."""
    migration = reader.from_texts("0002_x", sql, None)
    rehearsal: Rehearsal = stage.rehearse(migration)
    assert [(seen.sql, seen.error) for seen in rehearsal.statements if seen.state != "ran"] == []
    return rules.findings(migration.apply, rehearsal.statements, rehearsal.invalid(), rehearsal.facts())


@pytest.fixture(scope="module")
def row_findings(stage: RehearsalDatabases) -> dict[Case, list[Finding]]:
    """The findings on each of the rows, rehearsed in one file: on empty tables none of them leaves anything for the next."""
    begin(stage, [SCHEMA])
    rows = [case for case in cases("rows") if is_known(case, stage)]
    found: dict[Case, list[Finding]] = {case: [] for case in rows}
    for finding in judged(stage, ";\n".join(case.sql for case in rows)):
        assert finding.statement
        found[rows[finding.statement - 1]].append(finding)
    return found


@pytest.mark.parametrize("case", cases("rows"), ids=lambda case: re.sub(r"\W+", "-", case.sql)[:90])
def test_verdict_on_rows_is_the_truth(
    case: Case, row_findings: dict[Case, list[Finding]], stage: RehearsalDatabases
) -> None:
    if not is_known(case, stage):
        pytest.skip("not on this version")
    assert verdict(row_findings[case]) == case.truth, report(row_findings[case])


@pytest.mark.parametrize("case", cases("files"), ids=lambda case: re.sub(r"\W+", "-", case.sql)[:90])
def test_verdict_on_a_file_is_the_truth(case: Case, stage: RehearsalDatabases) -> None:
    begin(stage, [SCHEMA])
    findings = judged(stage, case.sql)
    assert verdict(findings) == case.truth, report(findings)
