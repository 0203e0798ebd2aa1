"""What an importer gives: the migrations of another tool as values, and the helpers that all importers share."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pgyoyo.errors import UsageError
from pgyoyo.sql.lexer import has_statement

DATABASE = "database"  # the tool of a schema that no tool made

# The line by which an imported file is known again: which tool, and what its ledger calls the migration.
_PROVENANCE = re.compile(rb"(?m)^-- Imported from ([a-z-]+): ([^\r\n]+?)\r?$")


class Origin(NamedTuple):
    """Where an imported file comes from: the tool, and its own name of the migration."""

    tool: str
    name: str

    def __str__(self) -> str:
        return f"Imported from {self.tool}: {self.name}"


@dataclass(frozen=True, slots=True)
class Section:
    """The SQL of one direction, and whether the tool runs it in a transaction."""

    text: str
    transactional: bool = True

    @property
    def empty(self) -> bool:
        """Whether nothing in it runs."""
        return not has_statement(self.text.encode())


@dataclass(frozen=True, slots=True)
class Imported:
    """A migration of another tool: the id that it gets here, its name there, what it does, and how that is undone.

    `rollback` is None where the tool has no way back.
    """

    id: str
    name: str
    apply: Section
    rollback: Section | None = None

    @property
    def without_way_back(self) -> bool:
        """Whether it does something that nothing undoes."""
        return not self.apply.empty and (self.rollback is None or self.rollback.empty)


@dataclass(frozen=True, slots=True)
class Project:
    """All that was read, in the tool's order; `hooks` run after every apply, `warnings` are about what was left out."""

    tool: str
    migrations: tuple[Imported, ...]
    hooks: tuple[Imported, ...] = ()
    warnings: tuple[str, ...] = ()


def origin_of(data: bytes) -> Origin | None:
    """Where a migration file was imported from, as its header says."""
    match = _PROVENANCE.search(data[:4096])
    return Origin(match[1].decode(), match[2].decode(errors="replace")) if match else None


def text_of(path: Path) -> str:
    """The text of a file without its BOM, line ends as they are; raises UsageError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 first") from None


def files_of(folder: Path) -> list[Path]:
    """The files of a folder by name; raises UsageError."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be read: {error.strerror}; name the folder: pgyoyo import TOOL FOLDER"
        ) from None


def refuse_twins(versions: Iterable[tuple[object, str]]) -> None:
    """Raises UsageError for two files of one version, which no tool accepts."""
    seen: dict[object, str] = {}
    for version, name in versions:
        if (first := seen.setdefault(version, name)) != name:
            raise UsageError(f"{first} and {name} have the same version {version}; give one of them another")


def ids(names: Sequence[str]) -> list[str]:
    """An id for each name, in an order that yoyo keeps: the names as they are, else their numbers made equally long, else
    numbered from 0001.
    """
    plain = [re.sub(r"[\s/\\]+", "_", name) for name in names]
    width = max((len(match[0]) for name in plain if (match := re.match(r"[0-9]+", name))), default=0)
    padded = [re.sub(r"^[0-9]+", lambda number: number[0].zfill(width), name) for name in plain]
    for candidates in (plain, padded):
        if all(earlier + ".sql" < later + ".sql" for earlier, later in pairwise(candidates)):
            return candidates
    return [f"{number:04d}_{name}" for number, name in enumerate(plain, start=1)]


def terminated(text: str) -> str:
    """The statement with a semicolon at its end, which a tool that splits by marks of its own does not need."""
    code = re.sub(r"(?m)^[ \t]*--.*$", "", text).rstrip()
    return text if not code or code.endswith(";") else f"{text.rstrip()}\n;\n"
