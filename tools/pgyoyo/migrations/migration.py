"""A migration: a pair of files, its identity and its checksums."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from pgyoyo.errors import RollbackRefusedError
from pgyoyo.sql.header import Header
from pgyoyo.sql.lexer import mentioned, start_of

ROLLBACK = ".rollback.sql"
PYTHON = ".py"
# yoyo/migrations.py, read_migrations: run after every apply.
HOOK = "post-apply"
STORED = " (as stored)"  # ends the name of a file that is gone, whose text the ledger has
# How a rollback file says that there is nothing to undo; prove still compares.
NO_OP = "SELECT 'nothing to undo' AS note;"


# What can give a column, a row or a result another type under the same name. Two words far apart are looked for one by one.
_DROPS = re.compile(
    rb"(?i)\bdrop\s+(?!(?:constraint|index|trigger|default|not|expression|identity|policy|rule|sequence|statistics|role|user"
    rb"|publication|subscription|event|server|database|tablespace)\b)"
)
_ALTERS = re.compile(rb"(?i)\balter\s+(?:table|type|view|materialized|foreign|function|procedure|routine|schema)\b")
_TYPES = re.compile(rb"(?i)\b(?:type|attribute|rename|schema)\b")


# Named tuples, since every run makes thousands of them; a frozen dataclass takes three times as long.
class File(NamedTuple):
    """A file as it is on disk: its bytes are sent as they are."""

    name: str  # with its folder
    data: bytes
    header: Header
    checksum: str
    empty: bool
    # Of a file in Python, whose SQL `data` is: the line there for each of these, and the steps that only Python can run.
    lines: tuple[int, ...] = ()
    blocked: tuple[tuple[int, str], ...] = ()

    def __repr__(self) -> str:
        return f"File({self.name!r})"

    @property
    def path(self) -> Path:
        """Its path, made when asked for: a Path for each file would be a quarter of the time that reading takes."""
        return Path(self.name)

    @property
    def is_python(self) -> bool:
        """Whether the file is in Python, so that its bytes on disk are not its SQL."""
        return self.name.endswith(PYTHON)

    @property
    def is_stored(self) -> bool:
        """Whether the file is gone, and this is the text that the ledger has of it."""
        return self.name.endswith(STORED)

    def line(self, number: int) -> int:
        """The line of the file on disk for a line of its SQL."""
        return self.lines[min(number, len(self.lines)) - 1] if self.lines and number else number

    @property
    def needs_new_session(self) -> bool:
        """Whether sessions that began before it may not behave as new ones do: in their settings, or in the types that a
        procedural language remembers.
        """
        if self.may_change_defaults:
            return True
        words = mentioned(self.data, (b"drop", b"alter"))
        return (b"drop" in words and _DROPS.search(self.data) is not None) or (
            b"alter" in words and _ALTERS.search(self.data) is not None and _TYPES.search(self.data) is not None
        )

    @property
    def may_change_defaults(self) -> bool:
        """Whether it may change the settings that new sessions of a role or database start with."""
        return bool(mentioned(self.data, (b"alter",))) and (
            re.search(rb"(?i)\balter\s+(role|user|database)\b", self.data) is not None
        )


class Migration(NamedTuple):
    """A numbered pair of files; identity as yoyo's: id = file name without its last extension, hash = sha256 of the id."""

    id: str
    hash: str
    apply: File
    rollback: File | None

    @property
    def depends(self) -> tuple[str, ...]:
        """Ids of the migrations that must be applied before this one."""
        return self.apply.header.depends

    def require_rollback(self) -> File:
        """The rollback file; raises RollbackRefusedError where it is missing or has nothing to run."""
        if self.rollback is None and self.apply.is_python:
            raise RollbackRefusedError(
                f"{self.id} has no rollback: no step in {self.apply.path} has one; undo the migration by hand and run "
                f"`pgyoyo unmark {quote(self.id)}`"
            )
        if self.rollback is None and self.apply.is_stored:
            raise RollbackRefusedError(
                f"{self.id} has no file here, and was applied without a rollback; restore {self.id}.sql and write "
                f"{self.id}{ROLLBACK}, or undo the migration by hand and run `pgyoyo unmark {quote(self.id)}`"
            )
        if self.rollback is None:
            name = self.apply.path.with_name(self.id + ROLLBACK)
            raise RollbackRefusedError(
                f"{self.id} has no rollback file; write {name}, or undo the migration by hand and run "
                f"`pgyoyo unmark {quote(self.id)}`"
            )
        if reason := self.rollback.header.irreversible:
            raise RollbackRefusedError(f"{self.id} can't be rolled back: {reason} ({self.rollback.path})")
        if self.rollback.empty and not self.rollback.blocked and self.apply.is_stored:
            raise RollbackRefusedError(
                f"{self.id} has no file here, and its rollback had no statement when it was applied; restore {self.id}.sql "
                f"and write {self.id}{ROLLBACK}, or undo the migration by hand and run `pgyoyo unmark {quote(self.id)}`"
            )
        if self.rollback.empty and not self.rollback.blocked:
            raise RollbackRefusedError(
                f"{self.rollback.path} has no statement, so rolling back would forget {self.id} and leave its objects in "
                f'place; write the statements, or "-- irreversible: reason", there (where nothing is to be undone: {NO_OP})'
            )
        return self.rollback


@dataclass(frozen=True, slots=True)
class Folders:
    """What the folders hold; hooks are yoyo's post-apply files, run after every apply and never recorded as applied.

    `warnings` are about what is legal, but hardly meant, each with its path.
    """

    migrations: tuple[Migration, ...]
    hooks: tuple[Migration, ...]
    warnings: tuple[str, ...] = ()


def hash_of(migration_id: str) -> str:
    """yoyo's key of a migration (yoyo/migrations.py, get_migration_hash)."""
    return hashlib.sha256(migration_id.encode()).hexdigest()


def checksum_of(data: bytes) -> str:
    """sha256 of a file's content without its BOM, with CRLF as LF: neither counts as an edit."""
    start = start_of(data)
    if b"\r" not in data:
        return hashlib.sha256(memoryview(data)[start:] if start else data).hexdigest()
    body = memoryview(data)[start:]
    digest = hashlib.sha256()
    held = b""
    for start in range(0, len(body), 1 << 20):
        piece = held + bytes(body[start : start + (1 << 20)])
        held = b"\r" if piece.endswith(b"\r") else b""
        digest.update(piece[: len(piece) - len(held)].replace(b"\r\n", b"\n"))
    digest.update(held)
    return digest.hexdigest()
