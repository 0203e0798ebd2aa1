"""Flyway: versioned files `V1.2__name.sql`, undo files `U1.2__name.sql`, repeatable files `R__name.sql`."""

import re
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, refuse_twins, text_of

FOLDERS = ("src/main/resources/db/migration", "db/migration", "migrations", "sql")
# ResourceNameParser.java: the ending in any case, and no description is one that is empty.
_NAME = re.compile(r"(?P<kind>[VUBR])(?P<version>\d+(?:[._]\d+)*)?(?:__(?P<description>.*))?(?P<ending>\.(?i:sql))")
_PLACEHOLDER = re.compile(r"\$\{[^}\r\n]+\}")
Version = tuple[int, ...]


def read(folder: Path) -> Project:
    """The migrations of a folder and those below it; repeatable ones become hooks. Raises UsageError for twins."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name the one with Flyway's files: pgyoyo import flyway FOLDER")
    files: dict[str, dict[Version, Path]] = {"V": {}, "U": {}, "B": {}}
    repeatable, warnings = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".sql" and path.is_file()):
        match = _NAME.fullmatch(path.name)
        if match and match["version"] and match["kind"] != "R":
            number = version(path.name)
            of_kind = files[match["kind"]]
            refuse_twins((match["version"], name) for name in (of_kind.get(number, path).name, path.name))
            of_kind[number] = path
        elif match and match["kind"] == "R" and not match["version"] and match["description"]:
            repeatable.append(path)
        else:
            warnings.append(f"{path} is a callback or has no version, so it was left out")
    warnings += [
        f"{path} is a baseline of what the versioned files give, so it was left out" for path in files["B"].values()
    ]
    for number, path in files["U"].items():
        if number not in files["V"]:
            warnings.append(f"{path} undoes a version that is not here, so it was left out")
    ordered = sorted(files["V"].items())
    names = _ids(ordered)
    migrations = tuple(
        Imported(
            names[number], path.name, _section(path), _section(files["U"][number]) if number in files["U"] else None
        )
        for number, path in ordered
    )
    hooks = tuple(Imported(f"post-apply_{_slug(path)}", path.name, _section(path)) for path in repeatable)
    if hooks:
        warnings.append(
            "repeatable files became post-apply files: they run after every apply, not only when they changed"
        )
    warnings += [
        f"{path}: Flyway puts a value in place of {match[0]}; write the value"
        for path in (*files["V"].values(), *files["U"].values(), *repeatable)
        if (match := _PLACEHOLDER.search(text_of(path)))
    ]
    return Project("flyway", migrations, hooks, tuple(warnings))


def version(name: str) -> Version:
    """The version of a file, or as the ledger writes it; equal where Flyway sees one version: 1, 1.0 and 1_0."""
    match = re.match(r"[VUB]?(\d+(?:[._]\d+)*)", name)
    parts = [int(part) for part in re.split(r"[._]", match[1])] if match else []
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _ids(ordered: list[tuple[Version, Path]]) -> dict[Version, str]:
    """Versions with all parts equally long, so that the order by name is that of the versions."""
    depth = max((len(number) for number, _ in ordered), default=1)
    full = {number: (*number, *(0,) * (depth - len(number))) for number, _ in ordered}
    widths = [max(len(str(parts[place])) for parts in full.values()) for place in range(depth)] if full else []
    widths = [max(4, widths[0])] if depth == 1 and widths else widths
    return {
        number: ".".join(str(part).zfill(width) for part, width in zip(full[number], widths, strict=True))
        + "_"
        + _slug(path)
        for number, path in ordered
    }


def _slug(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    assert match
    return re.sub(r"\s+", "_", (match["description"] or "").strip()) or "migration"


def _section(path: Path) -> Section:
    """A file's text; a script configuration beside it may say that it runs without a transaction."""
    config = path.with_name(path.name + ".conf")
    settings = text_of(config) if config.is_file() else ""
    alone = re.search(r"(?mi)^\s*executeInTransaction\s*=\s*false\s*$", settings)
    return Section(text_of(path), transactional=alone is None)
