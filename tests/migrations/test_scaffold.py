"""New files: the next number, a header that reads well and is no defect, nothing overwritten."""

import errno
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgyoyo.errors import UsageError
from pgyoyo.migrations import reader, scaffold, style


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def touch(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).write_text("SELECT 1;\n")
    return folder


def refusal(folder: Path, name: str) -> str:
    with pytest.raises(UsageError) as caught:
        scaffold.write(folder, name)
    return str(caught.value)


def test_first_pair_is_written_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "sql" / "migrations"
    written = scaffold.write(folder, "create_users")
    assert written == [folder / "0001_create_users.sql", folder / "0001_create_users.rollback.sql"]
    assert written[0].read_text() == "-- Create users.\n\n"
    assert written[1].read_text() == "-- Undo 0001_create_users: the exact mirror, last things first.\n\n"
    assert names(folder) == ["0001_create_users.rollback.sql", "0001_create_users.sql"]


def test_second_depends_on_the_first(tmp_path: Path) -> None:
    scaffold.write(tmp_path, "create_users")
    scaffold.write(tmp_path, "add_email")
    first, second = reader.read([str(tmp_path)]).migrations
    assert (second.id, second.depends, second.apply.header.title) == ("0002_add_email", (first.id,), "Add email.")
    assert second.rollback is not None
    assert second.apply.empty
    assert second.rollback.empty


@pytest.mark.parametrize(
    ("files", "written", "depends"),
    [
        (["0009_a.sql"], "0010_x", "0009_a"),
        (["0003_a.sql", "0001_b.sql"], "0004_x", "0003_a"),
        (["9999_a.sql"], "10000_x", "9999_a"),
        (["00001_a.sql"], "00002_x", "00001_a"),
        (["001.first.sql"], "002.x", "001.first"),
        (["1_a.sql"], "2_x", "1_a"),
        (["unnumbered.sql"], "0001_x", "unnumbered"),
        (["0001_a.sql", "0001_a.rollback.sql", "0007_orphan.rollback.sql"], "0002_x", "0001_a"),
        (["0001_a.sql", "post-apply.sql", "_tmp_yoyonew8.sql", "README.md", "__init__.py"], "0002_x", "0001_a"),
        (["0001_a.sql", "0008_b.py"], "0009_x", "0008_b"),
        (["post-apply.sql"], "0001_x", None),
        (["0001 with blanks.sql"], "0002_x", None),
    ],
)
def test_next_pair_has_the_next_number_as_wide_and_depends_on_the_last(
    files: list[str], written: str, depends: str | None, tmp_path: Path
) -> None:
    touch(tmp_path, *files)
    apply, rollback = scaffold.write(tmp_path, "x")
    assert (apply.name, rollback.name) == (f"{written}.sql", f"{written}.rollback.sql")
    one = reader.read_one(apply)
    assert one.depends == ((depends,) if depends else ())
    assert one.rollback is not None


@settings(deadline=None)
@given(name=st.from_regex(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) < 200))
def test_every_name_that_is_taken_gives_files_without_defects(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("new")
    for _ in range(2):
        scaffold.write(folder, name)
    assert [one.id for one in reader.read([str(folder)]).migrations] == [f"000{i}_{name}" for i in (1, 2)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Add Grade", "add_grade"), ("add-grade", "add_grade"), ("_x", "x"), ("x_", "x"), ("a__b", "a_b"), ("0001_add", "add"),
     ("../up", "up"), ("a/b", "a_b"), ("", "add_grade"), ("7", "add_grade"), ("x\n", "x"), ("x.sql", "x_sql")],
)  # fmt: skip
def test_other_names_are_refused_with_one_that_would_do(name: str, wanted: str, tmp_path: Path) -> None:
    words = f'"{name}" is not a valid migration name; use lower-case words with underscores, such as {wanted}'
    assert refusal(tmp_path / "new", name) == words
    assert not (tmp_path / "new").exists()
    scaffold.write(tmp_path / "new", wanted)


@pytest.mark.parametrize("taken", ["0002_b.rollback.sql"])
def test_nothing_is_overwritten_and_no_half_pair_is_left(taken: str, tmp_path: Path) -> None:
    touch(tmp_path, "0001_a.sql")
    (tmp_path / taken).write_text("mine")
    assert refusal(tmp_path, "b") == f"{tmp_path / taken} already exists; rename or delete it first"
    assert names(tmp_path) == ["0001_a.sql", taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    assert refusal(tmp_path / "file", "x") == f"{tmp_path}/file: cannot be written: File exists"
    assert refusal(tmp_path / "file" / "sql", "x") == f"{tmp_path}/file/sql: cannot be written: Not a directory"
    assert "cannot be written: File name too long" in refusal(tmp_path, "x" * 300)


def test_command_says_what_it_wrote_and_needs_no_database(tmp_path: Path, run_here) -> None:
    assert run_here("new", "add_grade").out == (
        "wrote sql/migrations/0001_add_grade.sql\nwrote sql/migrations/0001_add_grade.rollback.sql\n"
    )
    result = run_here("new", "Add Grade", "--migrations", "elsewhere")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("such as add_grade\n")


def test_prefix_of_yoyo_ini_begins_the_first_name_and_lives_on(tmp_path: Path, run_here) -> None:
    (tmp_path / "yoyo.ini").write_text("[DEFAULT]\nsources = m\nprefix = shop_\n")
    assert run_here("new", "a").out.startswith("wrote m/shop_0001_a.sql\n")
    assert run_here("new", "b").out.startswith("wrote m/shop_0002_b.sql\n")


# --- After a merge ---


def test_new_one_depends_on_all_heads(tmp_path: Path) -> None:
    touch(tmp_path, "0001_a.sql", "0002_b.sql", "0002_c.sql")
    written = scaffold.write(tmp_path, "merge")[0]
    assert written.name == "0003_merge.sql"
    assert "-- depends: 0002_b 0002_c\n" in written.read_text()
    # Of files with defects only the names are known.
    (tmp_path / "0004_d.sql").write_text("-- depends: nobody\n")
    assert "-- depends: 0004_d\n" in scaffold.write(tmp_path, "next")[0].read_text()


def test_head_by_its_dependencies_is_not_the_last_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "0001_a.sql", "0003_c.sql")
    (tmp_path / "0002_b.sql").write_text("-- depends: 0003_c\n")
    assert "-- depends: 0002_b\n" in scaffold.write(tmp_path, "next")[0].read_text()


# --- A pattern as the folder ---


def test_pattern_stands_for_its_only_folder(tmp_path: Path) -> None:
    (tmp_path / "db1" / "migrations").mkdir(parents=True)
    assert scaffold.write(tmp_path / "*" / "migrations", "x")[0] == tmp_path / "db1" / "migrations" / "0001_x.sql"
    (tmp_path / "db2" / "migrations").mkdir(parents=True)
    words = f'"{tmp_path}/*/migrations" stands for 2 folders; name the one for the new files with --migrations DIR'
    assert refusal(tmp_path / "*" / "migrations", "x") == words
    assert "stands for 0 folders" in refusal(tmp_path / "none*", "x")
    assert names(tmp_path) == ["db1", "db2"]


# --- All or nothing ---

LIMITED = """
import resource, signal, sys
from pathlib import Path
from pgyoyo.errors import UsageError
from pgyoyo.migrations import scaffold
sys.dont_write_bytecode = True  # Python would keep a module's cache that was cut, and fail on it from then on
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30, resource.RLIM_INFINITY))
try:
    scaffold.write(Path(sys.argv[1]), "add_grade")
except UsageError as error:
    print(error)
"""


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    # The first file is short enough, the second is cut.
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / '0001_add_grade.rollback.sql'}: cannot be written: File too large\n"
    assert names(tmp_path) == []


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
def test_file_made_meanwhile_is_not_overwritten_and_nothing_stays(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "0001_x.rollback.sql"
    texts = scaffold._texts

    def and_another_appears(*args: object) -> dict[str, str]:
        found = texts(*args)
        made.write_text("mine")
        return found

    def no_links(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(self))

    monkeypatch.setattr(scaffold, "_texts", and_another_appears)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    assert refusal(tmp_path, "x") == f"{made}: cannot be written: File exists"
    assert names(tmp_path) == [made.name]
    assert made.read_text() == "mine"
    made.unlink()
    monkeypatch.setattr(scaffold, "_texts", texts)
    scaffold.write(tmp_path, "x")
    assert names(tmp_path) == ["0001_x.rollback.sql", "0001_x.sql"]


# --- The style of the names that are there ---

NOW = datetime(2026, 11, 28, 20, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ids", "written"),
    [
        (["20240131_01_a1b2c-x"], r"20261128_01_[0-9A-Za-z]{5}-add-grade"),
        (["20261128_01_a1b2c-x", "20261128_02_Zz9zz-y"], r"20261128_03_[0-9A-Za-z]{5}-add-grade"),
        (["db_20240131_01_a1b2c-x"], r"db_20261128_01_[0-9A-Za-z]{5}-add-grade"),
        (["20301128_01_a1b2c-x"], r"20301128_02_[0-9A-Za-z]{5}-add-grade"),  # of a clock that is ahead
        (["20240131_01_x"], "20261128_01_add_grade"),
        (["20240131_x"], "20261128_add_grade"),
        (["2024-01-31-x"], "2026-11-28-add-grade"),
        (["20240131120000_x"], "20261128200506_add_grade"),
        (["20261128200506_x"], "20261128200507_add_grade"),
        (["20261231235959_x", "20240101000000_a"], "20270101000000_add_grade"),
        (["202401311200_x"], "202611282005_add_grade"),
        (["20240131T120000_x"], "20261128T200506_add_grade"),
        (["2014_10_12_000000_x"], "2026_11_28_200506_add_grade"),
        (["1712345678_x"], "1795896306_add_grade"),
        (["1712345678901-x"], "1795896306000-add-grade"),
        (["0001_a", "20240101120000_b"], "20261128200506_add_grade"),
        (["V1__a", "V2__b"], "V3__add_grade"),
        (["m0009-x"], "m0010-add-grade"),
        (["0001.create-foo", "0002.b"], "0003.add_grade"),
        (["0001.create-foo"], "0002.add-grade"),
        (["20240131.a_b"], "20261128.add_grade"),
        (["1.0.3_x"], "2_add_grade"),
        (["20249999_x"], "20250000_add_grade"),  # eight digits that are no date
        (["create_v2"], "0001_add_grade"),
    ],
)
def test_style_of_the_names_lives_on(ids: list[str], written: str) -> None:
    assert re.fullmatch(written, style.next_id(ids, "add_grade", NOW))
