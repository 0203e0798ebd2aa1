"""What a project that has nothing begins with: settings, a folder, a first pair of files, a line for git."""

import re
from collections.abc import Sequence
from pathlib import Path

from pgyoyo import plain_file, whole_file
from pgyoyo.errors import UsageError
from pgyoyo.migrations import scaffold
from pgyoyo.migrations.migration import ROLLBACK

FOLDER = "sql/migrations"
IGNORED = ".postgres/"
_SETTINGS = """\
[tool.pgyoyo]
migrations = ["{folder}"]
database = "embedded"

[tool.pgyoyo.server]
dbname = "{dbname}"
"""
FIRST = "0001_create_note"
_APPLY = """\
-- Create note, a first table: change it to what your project needs.

CREATE TABLE note (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body text NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now()
);

COMMENT ON TABLE note IS 'What somebody wrote down.';
"""
_ROLLBACK = """\
-- Undo 0001_create_note: the exact mirror, last things first.
--
-- lossy: the notes

DROP TABLE note;
"""


def write(directory: Path, *, configured: bool) -> list[Path]:
    """Write what is missing in a folder; the paths written or added to.

    Settings go to the end of pyproject.toml, or into pgyoyo.toml where there is none; not at all where they are `configured`.
    Raises UsageError for a file that can't be read or written; nothing that is there is overwritten.
    """
    written: list[Path] = []
    try:
        if not configured:
            path = directory / "pyproject.toml"
            path = path if path.exists() else directory / "pgyoyo.toml"
            _append(path, _SETTINGS.format(folder=FOLDER, dbname=_slug(directory.resolve().name)))
            written.append(path)
        ignore = directory / ".gitignore"
        lines = plain_file.read(ignore).decode("utf-8-sig").splitlines() if ignore.exists() else []
        if not {IGNORED, IGNORED.rstrip("/"), f"/{IGNORED}"} & {line.strip() for line in lines}:
            _append(ignore, IGNORED + "\n")
            written.append(ignore)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{directory}: a file here is not UTF-8 ({error}); write the settings by hand") from None
    return written


def first_pair(folder: Path) -> Sequence[Path]:
    """Write a first migration that can be applied; nothing where the folder holds SQL already. Raises UsageError."""
    if folder.is_dir() and any(folder.glob("*.sql")):
        return ()
    return scaffold.write_new(folder, {f"{FIRST}.sql": _APPLY, FIRST + ROLLBACK: _ROLLBACK})


def _append(path: Path, text: str) -> None:
    before = path.read_bytes() if path.exists() else b""
    end = b"\r\n" if b"\r\n" in before else b"\n"
    gap = b"" if not before else b"" if before.endswith(b"\n") else end
    blank = end if before and text.startswith("[") else b""
    whole_file.write(path, before + gap + blank + text.encode().replace(b"\n", end))


def _slug(name: str) -> str:
    """A database's name made of the project's."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:63] or "app"
