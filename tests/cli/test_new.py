"""Into which folder a new migration goes."""

from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.pgyoyo]\nmigrations = ["sql/*/migrations"]')
    return tmp_path


def test_only_folder_that_a_pattern_matches_is_taken(project: Path, run_here) -> None:
    (project / "sql" / "app" / "migrations").mkdir(parents=True)
    result = run_here("new", "add_grade")
    assert (result.code, result.out.splitlines()[0]) == (0, "wrote sql/app/migrations/0001_add_grade.sql")
    assert not (project / "sql" / "*").exists()


def test_pattern_that_matches_several_is_refused(project: Path, run_here) -> None:
    for name in ("a", "b"):
        (project / "sql" / name / "migrations").mkdir(parents=True)
    before = sorted(project.rglob("*"))
    result = run_here("new", "add_grade")
    words = '"sql/*/migrations" stands for 2 folders; name the one for the new files with --migrations DIR'
    assert (result.code, result.err) == (2, f"error: {words}\n")
    assert sorted(project.rglob("*")) == before


def test_folder_whose_name_is_a_pattern_is_taken_by_its_name(tmp_path: Path, run_here) -> None:
    for name in ("p1", "p[1]"):
        (tmp_path / name / "m").mkdir(parents=True)
    assert run_here("new", "add_grade", "--migrations", "p[1]/m").code == 0
    assert [path.name for path in (tmp_path / "p1" / "m").iterdir()] == []
    assert len(list((tmp_path / "p[1]" / "m").iterdir())) == 2


def test_merged_branches_are_named_and_brought_together(tmp_path: Path, run_here) -> None:
    for name, text in (("0001_a", ""), ("0002_b", "-- depends: 0001_a\n"), ("0002_c", "-- depends: 0001_a\n")):
        (tmp_path / f"{name}.sql").write_text(f"{text}SELECT 1;\n")
    result = run_here("new", "add_grade", "--migrations", ".")
    assert result.err == (
        "warning: 0002_b and 0002_c come from different branches; the new migration depends on all of them\n"
    )
    assert "-- depends: 0002_b 0002_c\n" in (tmp_path / "0003_add_grade.sql").read_text()
    assert run_here("new", "add_more", "--migrations", ".").err == ""
