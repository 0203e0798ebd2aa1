"""Folders of .sql files read into migrations, strictly: every defect of every file in one report."""

import codecs
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from io import FileIO
from pathlib import Path

import pgyoyo.migrations
from pgyoyo.errors import Defect, DefectsError
from pgyoyo.migrations import foreign, python
from pgyoyo.migrations.migration import HOOK, PYTHON, ROLLBACK, STORED, File, Folders, Migration, checksum_of, hash_of
from pgyoyo.migrations.names import fault, nearest, not_a_file, number, warnings
from pgyoyo.migrations.places import places
from pgyoyo.plain_file import YOYO_TEMPORARY
from pgyoyo.sql import header
from pgyoyo.sql.lexer import BOM, has_statement, leading_comments_end, start_of

# More than most files have: those are read at once.
_SMALL = 1 << 14


def read(folders: Sequence[str]) -> Folders:
    """The migrations of the folders, in yoyo's input order: folders as given, paths sorted.

    Raises UsageError for a folder that is not there or holds no migration, DefectsError with all that is wrong.
    """
    migrations, defects = read_what_can_be(folders)
    if defects:
        raise DefectsError(defects)
    return migrations


def read_what_can_be(folders: Sequence[str]) -> tuple[Folders, list[Defect]]:
    """The same with all that is wrong, which the migrations leave out; raises UsageError only."""
    defects: list[Defect] = []
    migrations: dict[str, Migration] = {}
    subfolders: list[Path] = []
    pairs = [(folder, place) for folder in folders for place in (places(folder) or [Path(folder)])]
    for folder, place in pairs:
        for migration in _read_folder(folder, place, defects, subfolders):
            if migration.id in migrations:
                first = migrations[migration.id].apply.path
                defects.append(Defect(migration.apply.path, 0, f"{first} has the same id; rename one of them"))
            else:
                migrations[migration.id] = migration
    defects += _dependency_defects(migrations)
    hooks = tuple(m for m in migrations.values() if m.id.startswith(HOOK))
    numbered = tuple(m for m in migrations.values() if not m.id.startswith(HOOK))
    if not migrations and not defects:
        raise pgyoyo.migrations.nothing.no_migrations(folders, subfolders)
    read = {place.resolve() for _, place in pairs} if subfolders else set()
    unread = [folder for folder in sorted(subfolders) if folder.resolve() not in read]
    return Folders(numbered, hooks, tuple(warnings(migrations, unread))), defects


def read_one(path: Path) -> Migration:
    """The migration whose file is at `path`, with the rollback file beside it; raises DefectsError."""
    defects: list[Defect] = []
    if path.suffix == PYTHON:
        read = _python(str(path), defects)
        if read is None or defects:
            raise DefectsError(defects)
        return read
    rollback = path.with_name(path.name.removesuffix(".sql") + ROLLBACK)
    migration = _pair(path.stem, str(path), str(rollback) if rollback.is_file() else None, defects)
    if migration is None or defects:
        raise DefectsError(defects)
    return migration


def from_texts(migration_id: str, apply: str, rollback: str | None) -> Migration:
    """A migration whose files are gone, from the texts in the ledger; raises DefectsError."""
    defects: list[Defect] = []
    applies = _file(f"{migration_id}.sql{STORED}", apply.encode(), defects, rollback=False)
    name = f"{migration_id}{ROLLBACK}{STORED}"
    undoes = None if rollback is None else _file(name, rollback.encode(), defects, rollback=True)
    if applies is None or defects:
        raise DefectsError(defects)
    return Migration(migration_id, hash_of(migration_id), applies, undoes)


def _read_folder(folder: str, place: Path, defects: list[Defect], subfolders: list[Path]) -> Iterator[Migration]:
    names: list[str] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(YOYO_TEMPORARY):
                    continue
                if _is(entry.is_file):
                    names.append(entry.name)
                elif reason := not_a_file(place / entry.name):
                    defects.append(Defect(place / entry.name, 0, reason))
                elif _is(entry.is_dir) and not entry.name.startswith("."):
                    subfolders.append(place / entry.name)
    except OSError as error:
        raise pgyoyo.migrations.nothing.no_folder(folder, error) from None
    here = set(names)
    if reason := foreign.of_sqitch(place, here):
        defects.append(Defect(place, 0, reason))
        return
    front = "" if place == Path() else os.path.join(place, "")  # noqa: PTH118 - a string, for speed
    for name in sorted(names):
        migration = None
        if reason := fault(name, here):
            defects.append(Defect(place / name, 0, reason))
        elif name.endswith(".sql") and not name.endswith(ROLLBACK) and name != ".sql":
            stem = name[:-4]
            rollback = stem + ROLLBACK
            migration = _pair(stem, front + name, front + rollback if rollback in here else None, defects)
            if migration and f"{stem}{PYTHON}" in here:
                migration = _converted(migration, front + stem + PYTHON, defects)
        elif name.endswith(PYTHON) and name != "__init__.py" and f"{name[:-3]}.sql" not in here:
            migration = _python(front + name, defects)
        if migration:
            yield migration


def _python(name: str, defects: list[Defect]) -> Migration | None:
    """The migration of a Python file, as far as its text tells."""
    data = _own_content(name, defects)
    if data is None:
        return None
    migration_id = Path(name).stem
    read, faults = python.texts.read(data, migration_id, name)
    defects += [Defect(Path(name), line, message) for line, message in faults]
    if read is None:
        return None
    files = []
    for text, rollback in ((read.apply, False), (read.rollback, True)):
        file = None if text is None else _file(name, text.data, defects, rollback=rollback)
        if file and text:
            head = file.header._replace(depends=() if rollback else read.depends, transactional=read.transactional)
            file = file._replace(header=head, lines=text.lines, blocked=text.blocked)
        files.append(file)
    return Migration(migration_id, hash_of(migration_id), files[0], files[1]) if files[0] else None


def _converted(migration: Migration, name: str, defects: list[Defect]) -> Migration | None:
    """A migration beside the Python file that it was converted from; what else has both is a defect."""
    source = _python(name, [])
    pairs = ((migration.apply, source and source.apply), (migration.rollback, source and source.rollback))
    if source and all((mine and mine.checksum) == (its and its.checksum) for mine, its in pairs):
        return migration
    defects.append(Defect(Path(name), 0, f"{migration.apply.name} has the same id, and other SQL; remove one of them"))
    return None


def _is(question: Callable[[], bool]) -> bool:
    """The answer of a directory entry; False where a link leads in a circle."""
    try:
        return question()
    except OSError:
        return False


def _pair(migration_id: str, name: str, rollback: str | None, defects: list[Defect]) -> Migration | None:
    applies = _read_file(name, defects, rollback=False)
    undoes = _read_file(rollback, defects, rollback=True) if rollback else None
    if applies is None:
        return None
    return Migration(migration_id, hash_of(migration_id), applies, undoes)


def _read_file(name: str, defects: list[Defect], *, rollback: bool) -> File | None:
    data = _own_content(name, defects)
    return None if data is None else _file(name, data, defects, rollback=rollback)


def _own_content(name: str, defects: list[Defect]) -> bytes | None:
    """The bytes of a file; None and a defect for one that can't be read, or that another tool's marks are in."""
    try:
        data = _content(name)
    except OSError as error:
        defects.append(Defect(Path(name), 0, f"cannot be read: {error.strerror}"))
        return None
    if wrong := foreign.marked(name, data):
        defects.append(Defect(Path(name), *wrong))
        return None
    return data


def _content(name: str) -> bytes:
    """All bytes of a file, in a quarter of the time that Path.read_bytes takes for a small one."""
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _SMALL)
        # Some file systems give less than is there: only a read of nothing is the end.
        if len(data) < _SMALL and not os.read(descriptor, 1):
            return data
        # From the start again, since joining the two would hold a big file twice.
        os.lseek(descriptor, 0, os.SEEK_SET)
        with FileIO(descriptor, closefd=False) as file:
            return file.readall()
    finally:
        os.close(descriptor)


def _file(name: str, data: bytes, defects: list[Defect], *, rollback: bool) -> File | None:
    if fault := _encoding_fault(data):
        defects.append(Defect(Path(name), *fault))
        return None
    end = leading_comments_end(data)
    head, faults = header.parse(data[start_of(data) : end].decode(), rollback=rollback)
    if faults:
        defects += [Defect(Path(name), line, message) for line, message in faults]
    return File(name, data, head, checksum_of(data), empty=not has_statement(data, end))


def _encoding_fault(data: bytes) -> header.Fault | None:
    """Line and message where PostgreSQL would not take the bytes as text."""
    if (offset := data.find(0)) >= 0:
        wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        what = "UTF-16" if wide else f"a NUL byte at offset {offset}"
        return data.count(b"\n", 0, offset) + 1, f"the file holds {what}; save it as UTF-8 text"
    if data.isascii():
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    step = 1 << 20
    try:
        for start in range(0, len(data), step):
            held = len(decoder.getstate()[0])
            decoder.decode(data[start : start + step], final=start + step >= len(data))
    except UnicodeDecodeError as error:
        offset = start - held + error.start
        line = data.count(b"\n", 0, offset) + 1
        return line, f"byte 0x{data[offset]:02x} at offset {offset} is not UTF-8; save the file as UTF-8"
    return None


def _dependency_defects(migrations: Mapping[str, Migration]) -> Iterator[Defect]:
    for migration in migrations.values():
        for name in migration.depends:
            if name in migrations and name != migration.id:
                continue
            line = _line_of_depends(migration, name)
            if name == migration.id:
                yield Defect(migration.apply.path, line, "it depends on itself; remove that dependency")
                continue
            meant = name.removesuffix(".sql").rstrip(",")
            # A part of an id is enough for a command, not for yoyo.
            near = next((i for i in migrations if i.startswith(f"{meant}_")), None) or nearest(meant, migrations)
            if name.endswith(",") and meant in migrations:
                advice = "separate ids with spaces, without commas"
            elif near and not (meant.isdecimal() and number(near) != int(meant)):
                advice = f"did you mean {near}?"
                advice += " Ids are separated by spaces, without commas" if name.endswith(",") else ""
            else:
                advice = "add that migration, or remove the dependency"
            yield Defect(migration.apply.path, line, f'depends on "{name}", which does not exist; {advice}')
    for circle in _circles(migrations):
        path = migrations[circle[0]].apply.path
        line = _line_of_depends(migrations[circle[0]], circle[1])
        yield Defect(path, line, "circular dependencies: " + " → ".join(circle) + "; remove one of them")


def _line_of_depends(migration: Migration, name: str) -> int:
    for row, line in enumerate(migration.apply.data.removeprefix(BOM).splitlines(), start=1):
        if (match := re.match(rb"\s*--\s*depends\s*:(.*)", line)) and name in match[1].decode().split():
            return migration.apply.line(row)
    return 0


def _circles(migrations: Mapping[str, Migration]) -> Iterator[list[str]]:
    """Circles of dependencies, no two with a migration in common, as the ids along each with the first at the end again."""
    graph = {m.id: {name for name in m.depends if name in migrations and name != m.id} for m in migrations.values()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # Each of its ids is one that the next depends on, and its last is its first.
            circle = error.args[1][:0:-1]
            start = circle.index(min(circle))
            yield [*circle[start:], *circle[: start + 1]]
            graph = {name: needs.difference(circle) for name, needs in graph.items() if name not in circle}
        else:
            return
