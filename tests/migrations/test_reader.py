"""Folders read into migrations: the same ones as yoyo's, and every defect in one report."""

import hashlib
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest
import yoyo
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from yoyo.exceptions import MigrationConflict
from yoyo.migrations import get_migration_hash, topological_sort

from pgyoyo.errors import DefectsError, RollbackRefusedError, UsageError
from pgyoyo.migrations import checks, reader, scaffold
from pgyoyo.migrations.migration import Folders, checksum_of, hash_of
from pgyoyo.migrations.reader import from_texts, read, read_one

BOM = b"\xef\xbb\xbf"
SOME = b"SELECT 1;\n"


def write(folder: Path, *names: str, **texts: bytes) -> Path:
    """A folder with these files; a keyword gives the content of NAME.sql."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(SOME)
    for name, text in texts.items():
        (folder / f"{name}.sql").write_bytes(text)
    return folder


def ids(*folders: str | Path) -> list[str]:
    return [one.id for one in read([str(folder) for folder in folders]).migrations]


def defects(*folders: Path) -> list[str]:
    with pytest.raises(DefectsError) as caught:
        read([str(folder) for folder in folders])
    assert str(caught.value).splitlines() == [str(defect) for defect in caught.value.defects]
    return str(caught.value).splitlines()


# --- What is read ---


@pytest.mark.parametrize("size", [0, 100, 16383, 16384, 16385, 100_000])
@pytest.mark.parametrize("most", [7000, 1 << 20])
def test_file_of_any_size_is_read_whole_also_where_reads_fall_short(
    size: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (b"SELECT 1;\n" * (size // 10 + 1))[:size]
    (tmp_path / "1_a.sql").write_bytes(data)
    whole = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, count: whole(descriptor, min(count, most)))
    assert read_one(tmp_path / "1_a.sql").apply.data == data


def test_migrations_come_sorted_by_name_with_their_rollback_files(tmp_path: Path) -> None:
    folder = write(tmp_path, "10_c.sql", "2_b.sql", "1_a.rollback.sql", "1_a.sql")
    first, second, third = read([str(folder)]).migrations
    assert [first.id, second.id, third.id] == ["10_c", "1_a", "2_b"]
    assert (first.rollback, third.rollback) == (None, None)
    assert second.rollback is not None
    assert second.rollback.path == folder / "1_a.rollback.sql"
    assert (second.apply.path, second.apply.data, second.apply.empty) == (folder / "1_a.sql", SOME, False)


def test_folders_come_in_the_order_given_and_a_pattern_stands_for_several(tmp_path: Path) -> None:
    for name in ("z", "a1", "a2"):
        write(tmp_path / name, f"0001_{name}.sql")
    assert ids(tmp_path / "z", tmp_path / "a1") == ["0001_z", "0001_a1"]
    assert ids(tmp_path / "z", tmp_path / "a?") == ["0001_z", "0001_a1", "0001_a2"]


def test_folder_whose_name_looks_like_a_pattern_is_found(tmp_path: Path) -> None:
    assert ids(write(tmp_path / "sql[1]", "0001_a.sql")) == ["0001_a"]


@pytest.mark.parametrize(
    "name",
    [".hidden.sql", "a.b.c.sql", " blank .sql", "UPPER.sql", "no-number.sql", "ümläut.sql",
     "x.rollback.sql.sql", "a'b\"c%s:d.sql", "._0001_a.sql", "20240101_01_AbCdE-name.sql"],
)  # fmt: skip
def test_odd_name_that_yoyo_takes_is_taken_with_the_same_identity(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path, name)
    [one], [theirs] = read([str(folder)]).migrations, yoyo.read_migrations(str(folder))
    assert (one.id, one.hash) == (theirs.id, theirs.hash)


@settings(deadline=None)
@given(st.text())
def test_hash_is_yoyos(text: str) -> None:
    assume(text.encode(errors="ignore").decode() == text)
    assert hash_of(text) == get_migration_hash(text)


def test_other_files_folders_and_yoyos_leftovers_are_nobodys_business(tmp_path: Path) -> None:
    folder = write(
        tmp_path, "0001_a.sql", "README.md", "0002_b.sql~", ".0003.sql.swp", ".sql", "_tmp_yoyonewabc.sql", "notes", "x.pyc",
        "_tmp_yoyonewabc.rollback.sql", "_tmp_yoyonewdef.rollback.sql", "_tmp_yoyonewabc.py", "_tmp_yoyonewabc.SQL",
    )  # fmt: skip
    (folder / "0004_folder").mkdir()
    (folder / "gone").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "fifo")
    assert ids(folder) == ["0001_a"] == [one.id for one in yoyo.read_migrations(str(folder))]


def test_post_apply_files_are_hooks_and_no_migrations(tmp_path: Path) -> None:
    folder = write(tmp_path, "post-apply.sql", "0001_a.sql", "post-apply-2.sql")
    theirs = yoyo.read_migrations(str(folder))
    found = read([str(folder)])
    assert [one.id for one in found.migrations] == [one.id for one in theirs] == ["0001_a"]
    assert [one.id for one in found.hooks] == [one.id for one in theirs.post_apply] == ["post-apply-2", "post-apply"]


def test_hook_alone_is_enough_for_a_folder(tmp_path: Path) -> None:
    found = read([str(write(tmp_path, "post-apply.sql"))])
    assert (len(found.migrations), len(found.hooks)) == (0, 1)


def test_bom_is_no_part_of_the_header(tmp_path: Path) -> None:
    write(tmp_path, "0001_a.sql")
    write(tmp_path, **{"0002_b": BOM + b"-- Title.\n-- depends: 0001_a\nSELECT 1;"})
    second = read([str(tmp_path)]).migrations[1]
    assert (second.apply.header.title, second.depends) == ("Title.", ("0001_a",))
    assert second.apply.data.startswith(BOM)


@pytest.mark.parametrize("text", [b"", b" \r\n", b"-- c", b"/* c */", b";;", BOM, BOM + b"-- c\n;"])
def test_file_without_a_statement_is_empty(text: bytes, tmp_path: Path) -> None:
    assert read([str(write(tmp_path, a=text))]).migrations[0].apply.empty


def test_read_one_takes_the_rollback_file_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path, "a.b.sql", "a.b.rollback.sql", "c.sql", d=b"-- Depends: x\n")
    one = read_one(folder / "a.b.sql")
    assert one.id == "a.b"
    assert one.rollback is not None
    assert one.rollback.path == folder / "a.b.rollback.sql"
    assert read_one(folder / "c.sql").rollback is None
    with pytest.raises(DefectsError, match=r'd\.sql:1: unknown header "Depends"'):
        read_one(folder / "d.sql")


def test_stored_texts_give_the_migration_back(tmp_path: Path) -> None:
    folder = write(
        tmp_path, a=b"-- statement-timeout: 1s\nSELECT 'x';\r\n", **{"a.rollback": b"-- lossy: all\nSELECT 2;"}
    )
    [one] = read([str(folder)]).migrations
    assert one.rollback is not None
    again = from_texts("a", one.apply.data.decode(), one.rollback.data.decode())
    assert (again.id, again.hash, again.apply.header) == (one.id, one.hash, one.apply.header)
    assert again.apply.checksum == one.apply.checksum
    assert again.rollback is not None
    assert (again.rollback.header, again.rollback.checksum) == (one.rollback.header, one.rollback.checksum)
    assert from_texts("a", "SELECT 1", None).rollback is None


# --- The same as yoyo ---

STEMS = st.sampled_from(
    [
        "0001_a",
        "0002_b",
        "0010_c",
        "1",
        "a.b",
        ".h",
        "ä",
        "B",
        "post-apply",
        "post-apply.x",
        "_tmp_yoyonew1",
        "x y",
        "c-d",
        "é",
        "~",
    ]
)


@st.composite
def folders(draw: st.DrawFn) -> list[dict[str, bytes]]:
    """Names and contents of the files of some folders; the ids in them depend on one another as it comes."""
    stems = draw(st.lists(STEMS, min_size=1, max_size=8, unique=True))
    found: list[dict[str, bytes]] = [{} for _ in range(draw(st.integers(1, 3)))]
    for stem in stems:
        needs = draw(st.lists(st.sampled_from([one for one in stems if " " not in one] or [""]), max_size=2))
        lines = [f"-- depends: {' '.join(needs)}"] * bool(needs) + ["SELECT 1;"]
        folder = found[draw(st.integers(0, len(found) - 1))]
        folder[f"{stem}.sql"] = "\n".join(lines).encode()
        if draw(st.booleans()):
            folder[f"{stem}.rollback.sql"] = SOME
    return found


def yoyos(places: list[str]) -> tuple[list[str], list[str]] | None:
    """yoyo's migrations in its order and its hooks; None where it refuses the folder."""
    try:
        found = yoyo.read_migrations(*places)
        for one in found.post_apply:
            one.load()
        ordered = list(topological_sort(found))
    except (yoyo.exceptions.BadMigration, MigrationConflict, ValueError):
        return None
    assert len(ordered) == len(found)
    return [one.id for one in found], [one.id for one in found.post_apply]


@settings(deadline=None)
@given(content=folders())
def test_ids_are_yoyos_and_what_yoyo_refuses_is_a_defect(
    content: list[dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    top = tmp_path_factory.mktemp("folders")
    places = [str(write(top / str(number))) for number in range(len(content))]
    for place, files in zip(places, content, strict=True):
        for name, text in files.items():
            (Path(place) / name).write_bytes(text)
    # yoyo keeps every migration that it ever saw, so that it finds a dependency of another test's folder.
    yoyo.migrations.Migration._Migration__all_migrations.clear()
    theirs = yoyos(places)
    found, words = None, ""
    try:
        ours = read(places)
        found = [one.id for one in ours.migrations], [one.id for one in ours.hooks]
    except DefectsError as error:
        words = str(error)
        assert all("depend" in line for line in words.splitlines())
    except UsageError:
        found = [], []
    # yoyo does not order its hooks, so it takes one in a circle.
    assert found == theirs or "post-apply" in words, words


# --- Checksums ---

TEXTS = st.text("\r\nab\ufeff'", max_size=12).map(str.encode)


@settings(deadline=None)
@given(TEXTS)
def test_checksum_is_blind_to_a_bom_and_to_crlf(text: bytes) -> None:
    text = b"x" + text.replace(b"\r", b"")
    same = {text, BOM + text, text.replace(b"\n", b"\r\n"), BOM + text.replace(b"\n", b"\r\n")}
    assert {checksum_of(one) for one in same} == {hashlib.sha256(text).hexdigest()}


def plain(text: bytes) -> bytes:
    return b"\n".join(text.removeprefix(BOM).split(b"\r\n"))


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_checksum_sees_every_other_change(one: bytes, other: bytes) -> None:
    assert (checksum_of(one) == checksum_of(other)) == (plain(one) == plain(other))


@settings(deadline=None)
@given(st.binary(max_size=30), st.integers(0, 30), st.integers(1, 255))
def test_checksum_sees_every_changed_byte(text: bytes, place: int, change: int) -> None:
    assume(place < len(text))
    other = text[:place] + bytes([text[place] ^ change]) + text[place + 1 :]
    assume(plain(text) != plain(other))
    assert checksum_of(text) != checksum_of(other)


@pytest.mark.parametrize("before", [(1 << 20) - 2, (1 << 20) - 1, 1 << 20, (2 << 20) - 1])
def test_checksum_of_a_long_file_sees_line_ends_across_its_pieces(before: int) -> None:
    text = b"x" * before + b"\n\ny\n"
    assert checksum_of(text) == checksum_of(text.replace(b"\n", b"\r\n")) == hashlib.sha256(text).hexdigest()
    assert checksum_of(b"x" * before + b"\r\n\r") == hashlib.sha256(b"x" * before + b"\n\r").hexdigest()
    assert checksum_of(BOM + text) == checksum_of(text)


# --- Long files ---


class Bytes(bytes):
    """Bytes that say how much of them was decoded at once."""

    longest = 0

    def decode(self, *args: str, **options: str) -> str:
        Bytes.longest = max(Bytes.longest, len(self))
        return super().decode(*args, **options)

    def __getitem__(self, key):
        found = super().__getitem__(key)
        return Bytes(found) if isinstance(found, bytes) else found


@pytest.mark.parametrize("filling", [b"INSERT INTO a VALUES (1);\n", "INSERT INTO a VALUES ('é');\r\n".encode()])
def test_long_file_is_not_decoded_whole(filling: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"-- Title.\n" + filling * (5_000_000 // len(filling))
    monkeypatch.setattr(Bytes, "longest", 0)
    monkeypatch.setattr(reader, "_content", lambda _: Bytes(data))
    one = read_one(Path("a.sql"))
    assert one.apply.header.title == "Title."
    assert 0 < Bytes.longest < 100


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80"])
@pytest.mark.parametrize("before", [0, (1 << 20) - 2, (1 << 20) - 1, 1 << 20, 3 << 20])
def test_bad_byte_is_found_at_its_line_and_offset_in_every_piece(bad: bytes, before: int, tmp_path: Path) -> None:
    text = b"\n" * (before // 2) + b"x" * (before - before // 2)
    for end in (b"", b"y\n"):
        told = defects(write(tmp_path, a=text + bad + end))
        words = f"byte 0x{bad[0]:02x} at offset {before} is not UTF-8; save the file as UTF-8"
        assert told == [f"{tmp_path}/a.sql:{before // 2 + 1}: {words}"]


def test_characters_across_the_pieces_of_a_long_file_are_fine(tmp_path: Path) -> None:
    for char in ("é", "€", "😀"):
        for shift in range(len(char.encode())):
            write(tmp_path, a=b"x" * ((1 << 20) - shift) + char.encode() * 3)
            assert ids(tmp_path) == ["a"]


# --- Defects ---


def test_all_defects_of_all_folders_are_told_in_one_sorted_report(tmp_path: Path) -> None:
    write(tmp_path / "z", "0001_same.sql", "b.SQL", a=b"-- Depends: x\n-- title\n-- transactional: no\n")
    write(tmp_path / "a", "0001_same.sql", "x.py", "orphan.rollback.sql", c=b"-- depends: nobody\n", d=b"a\n\0")
    write(tmp_path / "a", e=b"\xe9", f=b"-- depends: g", g=b"-- depends:f")
    told = defects(tmp_path / "z", tmp_path / "a")
    places = [line.removeprefix(f"{tmp_path}/").split(": ")[0] for line in told]
    assert places == [
        "a/0001_same.sql", "a/c.sql:1", "a/d.sql:2", "a/e.sql:1", "a/f.sql:1", "a/orphan.rollback.sql", "a/x.py:1",
        "z/a.sql:1", "z/a.sql:3", "z/b.SQL",
    ]  # fmt: skip
    assert told[0].endswith(f": {tmp_path}/z/0001_same.sql has the same id; rename one of them")
    assert told[4].endswith(": circular dependencies: f → g → f; remove one of them")


def test_defect_of_a_rollback_file_is_told_too(tmp_path: Path) -> None:
    write(tmp_path, "a.sql", **{"a.rollback": b"\n-- irreversible:"})
    assert defects(tmp_path) == [f"{tmp_path}/a.rollback.sql:2: irreversible has no reason; write one after the colon"]


@pytest.mark.parametrize("line", ["-- depends: b nobody", "--depends:nobody", "\t-- depends :\tnobody\r"])
@pytest.mark.parametrize("bom", [b"", BOM])
def test_unknown_dependency_is_told_at_its_own_line(line: str, bom: bytes, tmp_path: Path) -> None:
    write(tmp_path, "b.sql", a=bom + f"{line}\n".encode())
    [told] = defects(tmp_path)
    assert told.startswith(f'{tmp_path}/a.sql:1: depends on "nobody", which does not exist; ')
    write(tmp_path, a=b"-- It depends on nobody else.\n" + line.encode())
    assert defects(tmp_path)[0].startswith(f"{tmp_path}/a.sql:2: ")


def test_dependency_with_the_files_whole_name_gets_the_id_as_advice(tmp_path: Path) -> None:
    write(tmp_path, "0001_a.sql", b=b"-- depends: 0001_a.sql")
    assert defects(tmp_path)[0].endswith('depends on "0001_a.sql", which does not exist; did you mean 0001_a?')


@settings(deadline=None)
@given(size=st.integers(2, 7), chance=st.randoms(use_true_random=False))
def test_circle_is_found_exactly_where_yoyo_finds_one(
    size: int, chance: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("circles")
    graph = {
        f"m{i}": {f"m{chance.randrange(size)}" for _ in range(chance.randrange(3))} - {f"m{i}"} for i in range(size)
    }
    write(folder, **{name: f"-- depends: {' '.join(sorted(needs))}".encode() for name, needs in graph.items()})
    told = []
    try:
        read([str(folder)])
    except DefectsError as error:
        told = error.defects
    assert bool(told) == (yoyos([str(folder)]) is None)
    circles = set()
    for defect in told:
        way = defect.message.removeprefix("circular dependencies: ").split(";")[0].split(" → ")
        assert way[0] == way[-1]
        assert all(after in graph[before] for before, after in pairwise(way))
        assert defect.line == 1
        turned = way.index(min(way))
        circles.add((*way[turned:-1], *way[:turned]))
    assert len(circles) == len(told)


def test_long_chain_of_dependencies_is_no_trouble(tmp_path: Path) -> None:
    write(tmp_path, **{f"m{i:04}": f"-- depends: m{i + 1:04}".encode() for i in range(1500)}, m1500=b"")
    assert len(ids(tmp_path)) == 1501


def test_file_that_cannot_be_read_is_a_defect(tmp_path: Path) -> None:
    write(tmp_path, "a.sql", "b.sql")
    (tmp_path / "a.sql").chmod(0)
    if os.geteuid() == 0:  # whom no mode stops: a file of which the kernel gives nothing
        (tmp_path / "a.sql").unlink()
        (tmp_path / "a.sql").symlink_to("/proc/self/mem")
    [told] = defects(tmp_path)
    assert told.startswith(f"{tmp_path}/a.sql: cannot be read: ")


def test_name_that_is_not_utf8_is_a_defect(tmp_path: Path, run) -> None:
    name = os.fsencode(tmp_path) + b"/0001_\xff.sql"
    try:
        Path(os.fsdecode(name)).write_bytes(SOME)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert (
        "0001_\\udcff.sql: the file's name is not UTF-8, so it can't stand in the ledger; rename it"
        in defects(tmp_path)[0]
    )
    result = run("status", "--migrations", tmp_path, "--database", "host=/nowhere")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "the file's name is not UTF-8" in result.err


# --- Folders ---


@pytest.mark.parametrize(
    ("folder", "words"),
    [("missing", "does not exist"), ("missing*", "does not exist"), ("file", "is a file, not a folder"),
     ("file/below", "is a file, not a folder"), ("x" * 300, "cannot be read: File name too long")],
)  # fmt: skip
def test_folder_that_is_none_is_told(folder: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, "file"))
    with pytest.raises(UsageError) as caught:
        read([folder])
    assert str(caught.value) == (
        f'the migrations folder "{folder}" {words}; pass --migrations DIR or set migrations under [tool.pgyoyo]; a new '
        "project begins with `pgyoyo init`"
    )


def test_folder_that_was_probably_meant_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "sql" / "migration" / "app" / "v1", "0001_a.sql")
    with pytest.raises(UsageError, match=r'"sql/migrations" does not exist; did you mean sql/migration\?$'):
        read(["sql/migrations"])
    for folder in ("sql/migration", "sql/migration/app"):
        with pytest.raises(UsageError, match=r"subfolders are not read; pass --migrations sql/migration/app/v1$"):
            read([folder])


def test_folder_without_migrations_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", "README.md")
    with pytest.raises(UsageError, match=r"^no migrations in .*/a; write the first with"):
        read([str(tmp_path / "a")])
    write(tmp_path / "b", "0001_b.sql")
    assert ids(tmp_path / "a", tmp_path / "b") == ["0001_b"]


def test_nothing_is_written_or_remembered_by_reading(tmp_path: Path) -> None:
    folder = write(tmp_path, "0001_a.sql")
    before = read([str(folder)])
    assert sorted(path.name for path in folder.iterdir()) == ["0001_a.sql"]
    assert isinstance(before, Folders)
    assert reader.read([str(folder)]) == before


def test_a_part_that_is_there_by_its_name_is_no_pattern(tmp_path: Path) -> None:
    for name in (
        "p[1]/m",
        "p1/m",
        "p[1]/sql/a/m",
        "p[1]/sql/b/m",
        "p1/sql/c/m",
        "p[1]/sql/none",
        "*/x",
        "p?/m",
        "p1/only",
    ):
        write(tmp_path / name, f"{name.replace('/', '_')}.sql")
    wanted = {
        "p[1]/m": ["p[1]_m"],
        "p[1]/sql/*/m": ["p[1]_sql_a_m", "p[1]_sql_b_m"],
        "p[12]/m": ["p1_m"],  # nothing has that name: a pattern
        "p?/m": ["p?_m"],
        "*/x": ["*_x"],
        "p[1]/[sS]ql/a/m": ["p[1]_sql_a_m"],
        "p*/sql/[ac]/m": ["p1_sql_c_m", "p[1]_sql_a_m"],
    }
    assert {name: sorted(ids(tmp_path / name)) for name in wanted} == wanted
    # A folder that is not there is not taken for the one beside it.
    with pytest.raises(UsageError, match=r"p\[1\]/only\" does not exist"):
        read([str(tmp_path / "p[1]/only")])
    assert scaffold.write_new(tmp_path / "p[1]/new", {"0001_a.sql": ""}) == [tmp_path / "p[1]/new/0001_a.sql"]
    with pytest.raises(UsageError, match="stands for 2 folders"):
        scaffold.write_new(tmp_path / "p[1]/sql/[ab]/m", {"0001_a.sql": ""})


def test_rollback_that_stops_at_an_irreversible_one_says_how_far_back_it_goes(tmp_path: Path) -> None:
    texts = {"1_a": SOME, "1_a.rollback": SOME, "2_b": SOME, "2_b.rollback": b"-- irreversible: no\n", "3_c": SOME}
    folders = read([str(write(tmp_path, **texts, **{"3_c.rollback": SOME}))])
    going = folders.migrations[::-1]
    for chosen, latest, end in ((going, True, "after it: 1 migration"), (going, False, ")"), (going[1:], True, ")")):
        with pytest.raises(RollbackRefusedError) as caught:
            checks.rollbacks(chosen, latest=latest)
        assert str(caught.value).endswith(end)
    refused = {"4_d": SOME, "4_d.rollback": b"COMMIT; COMMIT;", "5_e": SOME, "5_e.rollback": SOME}
    going = read([str(write(tmp_path, **refused))]).migrations[::-1]
    with pytest.raises(RollbackRefusedError, match=r"--to 4_d rolls back what was applied after it: 1 migration$"):
        checks.rollbacks(going, latest=True)
