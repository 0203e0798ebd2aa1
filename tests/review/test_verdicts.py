"""The verdict on statements is the truth about them, which tests/benchmarks/verdicts.py measures; see tests/verdicts.py."""

import pytest

from pgyoyo.review.sheet import Finding
from pgyoyo.review.stage import RehearsalDatabases
from staging import begin
from verdicts import SCHEMA, Case, cases, judged, judged_together, report, verdict


@pytest.fixture(scope="module", params=("rows", "single"))
def findings(request: pytest.FixtureRequest, stage: RehearsalDatabases) -> dict[Case, list[Finding]]:
    """The findings on each of the cases that are rehearsed in one file."""
    begin(stage, [SCHEMA])
    return judged_together(stage, cases(request.param, stage.admin.info.server_version))


def test_verdicts_are_the_truth(findings: dict[Case, list[Finding]]) -> None:
    wrong = [
        f"{case.truth}: {case.sql}\n{report(each)}" for case, each in findings.items() if verdict(each) != case.truth
    ]
    assert wrong == []


@pytest.mark.parametrize("case", cases("files"), ids=lambda case: case.name)
def test_verdict_on_a_file_is_the_truth(case: Case, stage: RehearsalDatabases) -> None:
    begin(stage, [SCHEMA])
    findings = judged(stage, case.sql)
    assert verdict(findings) == case.truth, report(findings)
