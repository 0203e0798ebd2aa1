"""Copied as conftest.py: writes down what setting up and tearing down each test took, in seconds."""

from pathlib import Path

import pytest

TIMES: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call":
        TIMES[report.nodeid] = TIMES.get(report.nodeid, 0.0) + report.duration


def pytest_unconfigure() -> None:
    Path(__file__).with_name("times").write_text("\n".join(map(str, TIMES.values())))
