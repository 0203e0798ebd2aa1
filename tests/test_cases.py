"""Bad and odd input: a folder a defect, with the commands, their exit codes and words beside it.

tests/cases/<defect>/sql holds the files, expect.toml what is run on them in an empty database, in that order:
`setup` is SQL to run before; a [[step]] has `run`, `exit`, and lines that stand in `out` and `err`; an [[after]] has a
`query` and the `rows` it gives then.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/expect.toml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_bad_and_odd_input_is_told_as_expected(case: Path, new_database: Callable[[], str], run_here) -> None:
    expected = tomllib.loads((case / "expect.toml").read_text())
    database = new_database()
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(expected.get("setup", ""))
        for step in expected["step"]:
            command, *options = step["run"].split()
            result = run_here(command, "--database", database, "--migrations", "sql", *options, cwd=case)
            told = f"{step['run']} → {result.code}\n{result.out}\n{result.err}"
            assert result.code == step.get("exit", 0), told
            for stream in ("out", "err"):
                for words in step.get(stream, []):
                    assert words in getattr(result, stream), told
            assert "Traceback" not in result.err, told
        for check in expected.get("after", []):
            rows = [list(row) for row in conn.execute(check["query"].encode()).fetchall()]
            assert rows == check["rows"], check["query"]


def test_every_case_has_an_expectation() -> None:
    cases = (path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())
    folders = {path for path in cases if path.name not in ("verdicts", "queries")}
    assert {case for case in folders if not (case / "expect.toml").exists()} == set()
