"""What is wrong or misleading about the names in a migrations folder."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import pairwise
from pathlib import Path
from unicodedata import normalize

from pgyoyo import plain_file
from pgyoyo.errors import closest
from pgyoyo.migrations import foreign
from pgyoyo.migrations.migration import ROLLBACK, Migration
from pgyoyo.text import printable_line
from pgyoyo.units import several


def number(migration_id: str) -> int | None:
    """The number that an id begins with."""
    match = re.match(r"[0-9]+", migration_id)
    return int(match[0]) if match else None


def nearest(migration_id: str, ids: Iterable[str]) -> str | None:
    """The id that was probably meant: one much like it, with the same number or the same words where it has both."""
    front, words = _parts(migration_id)
    alike = [near for near in ids if not front or not words or _parts(near)[0] == front or _parts(near)[1] == words]
    return closest(migration_id, alike)


def _parts(migration_id: str) -> tuple[str, str]:
    """The number or the date that an id begins with, and what follows."""
    front = re.match(r"[0-9._-]*", migration_id)
    return (front[0] if front else ""), migration_id[front.end() if front else 0 :]


def folded(migration_id: str) -> str:
    """The id without differences of case or Unicode composition: equal where macOS or Windows see one file."""
    if migration_id.isascii():
        return migration_id.lower()
    return normalize("NFC", normalize("NFC", migration_id).casefold())


def fault(name: str, names: Set[str]) -> str | None:
    """What is wrong with a file's name; other files than .sql and .py (README.md, …) are ignored."""
    if name.lower().endswith(".sql.txt"):  # an editor of Windows added what it does not show
        return f"yoyo does not see it, since it ends with .txt; rename it to {name[:-4]}"
    stem, _, extension = name.rpartition(".")
    if not stem or name == "__init__.py" or extension.lower() not in ("sql", "py"):
        return None
    # Bytes of a name that are not UTF-8 come as lone surrogates.
    if not name.isascii() and name.encode(errors="ignore").decode() != name:
        return "the file's name is not UTF-8, so it can't stand in the ledger; rename it"
    if printable_line(name) != name:
        return "the file's name has a control or invisible character, shown here as an escape; rename it"
    if (
        extension == "sql"
        and stem.endswith(".rollback")
        and (owner := name.removesuffix(ROLLBACK) + ".sql") not in names
    ):
        candidates = [n for n in names if n.endswith(".sql") and not n.endswith(ROLLBACK)]
        if (python := name.removesuffix(ROLLBACK) + ".py") in names:
            return f"yoyo does not read it, since the migration is {python}; `pgyoyo convert` makes SQL of that, or delete it"
        near = closest(owner, candidates, cutoff=0.85)
        advice = f"did you mean {near.removesuffix('.sql')}{ROLLBACK}?" if near else f"write {owner}, or delete it"
        return f"this rollback belongs to {owner}, which does not exist; {advice}"
    if extension.lower() == "sql" and extension != "sql":
        return f'yoyo does not see ".{extension}"; rename it to {stem}.sql'
    if extension == "sql" and not name.endswith(ROLLBACK):
        return foreign.misnamed(name, names)
    return None


def not_a_file(path: Path) -> str | None:
    """Why a path named like a migration can't be read as a file; None for any other path."""
    if path.suffix.lower() not in (".sql", ".py") or path.name == "__init__.py":
        return None
    try:
        kind = plain_file.kind(path.stat().st_mode)
    except OSError as error:
        if path.is_symlink():
            target = printable_line(str(path.readlink()))
            return (
                f"a link to {target}, which can't be opened ({error.strerror}); restore that file, or remove the link"
            )
        return f"cannot be read: {error.strerror}"
    return f"{kind}, and a migration is a file; rename or remove it"


def warnings(migrations: Mapping[str, Migration], subfolders: Iterable[Path]) -> Iterator[str]:
    """Warnings, each with a path: an order or an identity that a reader would not expect, files that are not read.

    `migrations` come in the order of their names, folder by folder.
    """
    numbers = [number(migration_id) for migration_id in migrations]
    for (earlier, first), (later, second) in pairwise(zip(migrations.values(), numbers, strict=True)):
        if first is None or second is None or first <= second:
            continue
        if earlier.apply.path.parent == later.apply.path.parent and later.id not in _needs(earlier, migrations):
            yield (
                f"{printable_line(earlier.apply.name)}: runs before {later.id}, since names are sorted as text; "
                "give all numbers the same number of digits"
            )
    earlier_files: dict[str, str] = {}
    for migration in migrations.values():
        name = migration.apply.name
        if (earlier_name := earlier_files.setdefault(folded(migration.id), name)) != name:
            yield (
                f"{printable_line(name)}: its name differs from {printable_line(earlier_name)} only in case or in the "
                "encoding of accents; macOS and Windows see one file: rename one of them"
            )
        yield from _other_dependencies(migration)
        yield from _meant_alone(migration)
    for folder in filter(_holds_sql, subfolders):
        path = printable_line(str(folder))
        yield f"{path}: its .sql files are not read; move them up, or name this folder in migrations too"


def _needs(migration: Migration, migrations: Mapping[str, Migration]) -> set[str]:
    """The ids that the migration depends on, directly or not."""
    needs: set[str] = set()
    left = list(migration.depends)
    while left:
        name = left.pop()
        if name not in needs:
            needs.add(name)
            left += migrations[name].depends if name in migrations else ()
    return needs


def _other_dependencies(migration: Migration) -> Iterator[str]:
    """Whether the rollback file names dependencies that the migration does not have; yoyo itself reads none there."""
    file = migration.rollback
    others = [name for name in file.header.depends if name not in migration.depends] if file else []
    if file and others:
        yield (
            f"{printable_line(file.name)}: depends on {several(others)}, and {printable_line(migration.apply.name)} does "
            "not; yoyo does not read it here: write it there, or remove it"
        )


def _meant_alone(migration: Migration) -> Iterator[str]:
    """Whether a file says in another tool's words only that it runs outside a transaction."""
    for file in (migration.apply, migration.rollback):
        if (
            file
            and file.header.transactional
            and not file.is_python
            and (line := foreign.meant_alone(file.data[:1024]))
        ):
            yield (
                f'{printable_line(file.name)}:{line[0]}: "{line[1]}" has another tool run it outside a transaction, '
                'and is not read here; write "-- transactional: false" if it needs that'
            )


def _holds_sql(folder: Path) -> bool:
    try:
        return any(path.name.endswith(".sql") for path in folder.iterdir())
    except OSError:
        return False
