"""The settings and the files of a project."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from pgyoyo import configuration
from pgyoyo.doctor.line import Line
from pgyoyo.errors import Defect, UsageError
from pgyoyo.importing import tools
from pgyoyo.migrations import checks, elsewhere, plan, reader, starting
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.settings import Settings
from pgyoyo.units import number, several

NONE = Folders((), ())
_SHOWN = 20


def settings_lines(config: Settings) -> Iterator[Line]:
    """Where the settings come from, and the keys of yoyo.ini that mean nothing here."""
    path, table = configuration.find(config.root)
    source = None if table is None else path
    if config.ini:
        ini = config.ini
        yield Line("ok", "settings", f"from {several([str(path) for path in (ini.path, source) if path])}")
        if ini.ignored:
            keys = "this key means" if len(ini.ignored) == 1 else "these keys mean"
            yield Line("note", "settings", f"{ini.path}: {keys} nothing to pgyoyo: {several(ini.ignored)}")
    elif source is None:
        yield Line("note", "settings", "no pyproject.toml or pgyoyo.toml with [tool.pgyoyo]", _to_write(config))
    else:
        yield Line("ok", "settings", f"from {source}")


def _to_write(config: Settings) -> str:
    """How the settings come into being; `init` is for a project that has no migrations."""
    here = [name for name in config.migrations if Path(name).is_dir()]
    folders = here or [str(folder) for folder in elsewhere.look(config.root).folders]
    return "write one: pgyoyo init" if folders in ([], [starting.FOLDER]) else f"write it, with {_as_key(folders)}"


def _as_key(folders: Sequence[object]) -> str:
    return "migrations = [{}]".format(", ".join(f'"{folder}"' for folder in folders))


def read(config: Settings) -> tuple[Folders, list[Line]]:
    """The migrations as far as they can be read, and a line on each thing that is wrong or worth knowing."""
    try:
        folders, defects = reader.read_what_can_be(config.migrations)
    except UsageError as error:
        return NONE, [Line("fault", "files", str(error)), *_elsewhere(config.root), *_other_tools(config.root)]
    defects += [
        defect for m in folders.migrations for file in (m.apply, m.rollback) if file for defect in checks.defects(file)
    ]
    return folders, [
        *_folder_lines(config, folders),
        *_defect_lines(defects),
        *_python((*folders.migrations, *folders.hooks)),
    ]


def _folder_lines(config: Settings, folders: Folders) -> Iterator[Line]:
    migrations = folders.migrations
    hooks = f" and {number(len(folders.hooks), 'hook')}" if folders.hooks else ""
    yield Line("ok", "files", f"{number(len(migrations), 'migration')}{hooks} in {', '.join(config.migrations)}")
    for warning in folders.warnings:
        yield Line("warning", "files", warning)
    without = [m.id for m in migrations if m.rollback is None]
    if without:
        yield Line(
            "warning",
            "files",
            f"no rollback file: {several(without)}",
            "write NAME.rollback.sql, or say irreversible there",
        )
    if empty := [m.id for m in migrations if m.apply.empty and not m.apply.blocked]:
        yield Line("warning", "files", f"no statement yet: {several(empty)}", "write it, or apply with --allow-empty")
    if heads := plan.merged_heads(plan.order(migrations)):
        yield Line("warning", "files", f"{several(heads)} come from different branches", "`pgyoyo new` depends on both")


def _defect_lines(defects: Sequence[Defect]) -> Iterator[Line]:
    for defect in sorted(defects)[:_SHOWN]:
        yield Line("fault", "files", str(defect))
    if len(defects) > _SHOWN:
        yield Line("fault", "files", f"{len(defects) - _SHOWN} more defects", "pgyoyo check lists them")


def _python(migrations: Sequence[Migration]) -> Iterator[Line]:
    """The Python migrations by kind: SQL that is known, or a function that only yoyo can run."""
    python = [m for m in migrations if m.apply.is_python]
    blocked = [m for m in python if m.apply.blocked]
    if known := [m.id for m in python if not m.apply.blocked]:
        yield Line("note", "python", f"{number(len(known), 'migration')} in Python whose SQL is known: {several(known)}",
                   "pgyoyo convert writes it as .sql")  # fmt: skip
    for migration in blocked[:_SHOWN]:
        line, reason = migration.apply.blocked[0]
        yield Line("warning", "python", f"{migration.apply.name}:{line}: {reason}",
                   "while it is pending, let plain yoyo run it, or write it as SQL")  # fmt: skip


def _elsewhere(root: Path) -> Iterator[Line]:
    """Where else in the project migrations of yoyo's lie."""
    places = elsewhere.look(root)
    for folder in places.settings:
        if folder != Path():
            yield Line("note", "files", f"{folder} has a yoyo.ini", f"run pgyoyo in {folder}")
    for folder in places.folders:
        if not any(folder.is_relative_to(above) for above in places.settings if above != Path()):
            advice = f"pass --migrations {shlex.quote(str(folder))}, or write {_as_key([folder])} under [tool.pgyoyo]"
            yield Line("note", "files", f"{folder} holds migrations of yoyo's", advice)


def _other_tools(root: Path) -> Iterator[Line]:
    for tool, folder in tools.guess(root):
        yield Line("note", "files", f"{folder} looks like {tool}'s", f"pgyoyo import {tool} {folder}")
