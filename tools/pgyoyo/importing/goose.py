"""goose: one SQL file a migration, its directions and statements marked by `-- +goose` lines."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, files_of, ids, refuse_twins, terminated, text_of

FOLDERS = ("migrations", "db/migrations", "sql/migrations", "schema")
# goose's internal/sqlparser: a line of its own, the words in any case.
_MARK = re.compile(r"^--[ \t]*\+goose[ \t]+(\w[\w \t]*?)[ \t]*\r?\n?$")
_NAME = re.compile(r"([0-9]+)_.*\.(sql|go)")


def read(folder: Path) -> Project:
    """The SQL migrations of a folder, with a warning for each that is Go; raises UsageError for what goose can't read."""
    paths = [(int(match[1]), path) for path in files_of(folder) if (match := _NAME.fullmatch(path.name))]
    paths.sort()
    refuse_twins((number, path.name) for number, path in paths if not path.name.endswith("_test.go"))
    sql = [path for _, path in paths if path.suffix == ".sql"]
    parsed = [_Reader(path).read() for path in sql]
    migrations = (
        Imported(name, path.name, *reader.sections())
        for name, path, reader in zip(ids([p.stem for p in sql]), sql, parsed, strict=True)
    )
    warnings = [
        f"{path} is Go code, so it was left out; write what it does as SQL"
        for _, path in paths
        if path.suffix == ".go" and not path.name.endswith("_test.go")
    ]
    warnings += [
        f"{reader.path}: goose puts the environment in place of ${{NAME}}; write the values"
        for reader in parsed
        if reader.substitutes
    ]
    return Project("goose", tuple(migrations), warnings=tuple(warnings))


def version(name: str) -> int:
    """What goose's ledger calls a file of that name."""
    match = re.match(r"[0-9]+", name)
    return int(match[0]) if match else 0


@dataclass(slots=True)
class _Reader:
    """One file, line by line."""

    path: Path
    texts: dict[str, list[str]] = field(default_factory=lambda: {"up": [], "down": []})
    seen: set[str] = field(default_factory=set)
    transactional: bool = True
    substitutes: bool = False

    def read(self) -> "_Reader":
        """Itself, with all lines read."""
        way, block = "", None
        for line in re.findall(r"[^\n]*\n|[^\n]+", text_of(self.path)):
            match = _MARK.match(line)
            word = " ".join(match[1].lower().split()) if match else ""
            if word in ("up", "down"):
                way = word
                self.seen.add(word)
            elif word == "no transaction":
                self.transactional = False
            elif word in ("envsub on", "envsubst on"):
                self.substitutes = True
            elif word == "statementbegin" and way:
                block = len(self.texts[way])
            elif word == "statementend" and way:
                # goose needs no semicolon at the end of such a block.
                self.texts[way][block:] = [terminated("".join(self.texts[way][block:]))]
                block = None
            elif way and word not in ("envsub off", "envsubst off"):
                self.texts[way].append(line)
        if "up" not in self.seen:
            raise UsageError(
                f'{self.path}: no "-- +goose Up" line; goose does not read it either: add it, or move the file away'
            )
        return self

    def sections(self) -> tuple[Section, Section | None]:
        """What applies the migration, and what undoes it."""
        up, down = (Section("".join(self.texts[way]), self.transactional) for way in ("up", "down"))
        return up, down if "down" in self.seen else None
