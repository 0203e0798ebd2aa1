"""Names in a migrations folder: what is refused, and what is warned of."""

import os
import socket
from pathlib import Path

import pytest

from pgyoyo.errors import DefectsError
from pgyoyo.migrations.names import folded
from pgyoyo.migrations.reader import read


def write(folder: Path, *names: str, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("SELECT 1;")
    for stem, text in texts.items():
        (folder / f"{stem}.sql").write_text(text)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(DefectsError) as caught:
        read([str(folder)])
    return str(caught.value)


def warnings(*folders: Path) -> list[str]:
    found = read([str(folder) for folder in folders]).warnings
    return [warning.removeprefix(f"{folders[0]}/") for warning in found]


# --- Refused ---


@pytest.mark.parametrize(
    ("name", "shown"),
    [("0002_b\n\\! touch pwned\n--.sql", r"0002_b\n\! touch pwned\n--.sql"), ("0002_\x1b[2J.sql", r"0002_\x1b[2J.sql"),
     ("0002_\u202elqs.sql", r"0002_\u202elqs.sql"), ("0002_\u200bb.sql", r"0002_\u200bb.sql"),
     ("0002\t.rollback.sql", r"0002\t.rollback.sql"), ("0002\r.SQL", r"0002\r.SQL")],
)  # fmt: skip
def test_name_with_a_character_that_a_terminal_obeys_or_hides_is_refused_and_shown_escaped(
    name: str, shown: str, tmp_path: Path
) -> None:
    write(tmp_path, "0001_a.sql", name)
    assert refusal(tmp_path) == (
        f"{tmp_path}/{shown}: the file's name has a control or invisible character, shown here as an escape; rename it"
    )


def test_folder_with_a_line_break_is_shown_escaped_in_its_defects(tmp_path: Path) -> None:
    write(tmp_path / "a\nb", a="-- transactional: x")
    assert refusal(tmp_path / "a\nb").startswith(f"{tmp_path}/a\\nb/a.sql:1: transactional is")


def make_socket(path: Path) -> None:
    # A socket's path may be 107 bytes long.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "a folder, and a migration is a file; rename or remove it"),
        (os.mkfifo, "a FIFO, and a migration is a file; rename or remove it"),
        (make_socket, "a socket, and a migration is a file; rename or remove it"),
        (lambda path: path.symlink_to("/dev/null"), "a device, and a migration is a file; rename or remove it"),
        (lambda path: path.symlink_to("no/where"), "a link to no/where, which can't be opened (No such file or directory); "),
        (lambda path: path.symlink_to(path.name), "which can't be opened (Too many levels of symbolic links); "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["0002_b.sql", "0001_a.rollback.sql", "0002_b.SQL"])
def test_what_is_no_file_is_refused_not_skipped(make, words: str, name: str, tmp_path: Path) -> None:
    make(write(tmp_path, "0001_a.sql") / name)
    assert refusal(tmp_path).startswith(f"{tmp_path}/{name}: ")
    assert words in refusal(tmp_path)


def test_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "shared", "0001_a.sql")
    write(tmp_path / "m")
    (tmp_path / "m" / "0001_a.sql").symlink_to("../shared/0001_a.sql")
    assert [migration.id for migration in read([str(tmp_path / "m")]).migrations] == ["0001_a"]


# --- Warned of ---


def test_name_that_windows_ended_with_txt_is_a_defect(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0002_b.sql.txt", "notes.txt"):
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(DefectsError) as caught:
        read([str(tmp_path)])
    words = "0002_b.sql.txt: yoyo does not see it, since it ends with .txt; rename it to 0002_b.sql"
    assert str(caught.value).endswith(words)


def test_number_that_sorts_before_a_smaller_one_is_warned_of(tmp_path: Path) -> None:
    write(tmp_path, "10_b.sql", "9_a.sql", "x.sql")
    words = "10_b.sql: runs before 9_a, since names are sorted as text; give all numbers the same number of digits"
    assert warnings(tmp_path) == [words]


def test_numbers_in_order_or_ordered_by_their_dependencies_are_not_warned_of(tmp_path: Path) -> None:
    assert warnings(write(tmp_path / "a", "0009_a.sql", "0010_b.sql", "0010_c.sql", "20240101_x.sql", "y.sql")) == []
    folder = write(tmp_path / "b", "9_a.sql", **{"10_b": "-- depends: 8_c", "8_c": "-- depends: 9_a"})
    assert warnings(folder) == []
    # Folders have their own order.
    assert warnings(write(tmp_path / "c", "0002_x.sql"), write(tmp_path / "d", "0001_y.sql")) == []


@pytest.mark.parametrize(
    ("first", "second"), [("0001_A", "0001_a"), ("0001_e\u0301", "0001_\xe9"), ("0001_É", "0001_e\u0301")]
)
def test_names_that_are_one_file_elsewhere_are_warned_of(first: str, second: str, tmp_path: Path) -> None:
    write(tmp_path, f"{first}.sql")
    if (tmp_path / f"{second}.sql").exists():
        pytest.skip("this file system sees one file")
    write(tmp_path, f"{second}.sql")
    [warning] = warnings(tmp_path)
    assert "only in case or in the encoding of accents; macOS and Windows see one file: rename one of them" in warning
    assert folded(first) == folded(second)


def test_subfolder_with_sql_files_is_warned_of_unless_it_is_read_too(tmp_path: Path) -> None:
    write(tmp_path, "0001_a.sql")
    write(tmp_path / "old", "0000_x.sql")
    write(tmp_path / "notes", "README.md")
    write(tmp_path / ".git", "x.sql")
    words = "old: its .sql files are not read; move them up, or name this folder in migrations too"
    assert warnings(tmp_path) == [words]
    assert warnings(tmp_path, tmp_path / "old") == []


def test_folder_that_is_there_is_taken_before_what_its_name_matches_as_a_pattern(tmp_path: Path) -> None:
    write(tmp_path / "p1" / "m", "0001_wrong.sql")
    write(tmp_path / "p[1]" / "m", "0001_right.sql")
    assert [migration.id for migration in read([str(tmp_path / "p[1]" / "m")]).migrations] == ["0001_right"]
