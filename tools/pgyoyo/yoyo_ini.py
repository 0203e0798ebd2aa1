"""yoyo.ini, as far as it says where migrations are and where they go: read where a project has no [tool.pgyoyo]."""

import configparser
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgyoyo import plain_file
from pgyoyo.errors import UsageError

NAME = "yoyo.ini"
_READ = ("sources", "database", "migration_table", "prefix")
_PACKAGE = re.compile(r"package:([^\s/:]+):(.*)")
_REFERENCE = re.compile(r"%\(([^)]+)\)s")


class _UnsetError(UsageError):
    """A variable that a value refers to is not set."""


@dataclass(frozen=True, slots=True)
class YoyoIni:
    """What the file says; None or empty where it says nothing. `folders` may be patterns, from the file's own folder.

    `unset` says which variable the database needs that is not set: an error only where no other database is given.
    `ignored` are the keys that mean nothing to pgyoyo.
    """

    path: Path
    folders: tuple[str, ...] = ()
    database: str | None = None
    unset: str | None = None
    migration_table: str | None = None
    prefix: str = ""
    ignored: tuple[str, ...] = ()


def find(directory: Path) -> Path | None:
    """The file in the folder or the nearest one above it (yoyo/config.py, find_config)."""
    return next((path for folder in (directory, *directory.parents) if os.path.lexists(path := folder / NAME)), None)


def read(path: Path, environ: Mapping[str, str]) -> YoyoIni:
    """The file with those that it includes, its %(here)s and %(VARIABLE)s filled in; raises UsageError, without a value."""
    values, places = _values(path, ())
    texts: dict[str, str] = {}
    unset = None
    for key in _READ:
        try:
            texts |= {key: _filled(places[key], key, values, environ, ())} if key in values else {}
        except _UnsetError as error:
            if key != "database":
                raise
            unset = str(error)
    return YoyoIni(
        path,
        tuple(_folder(path, source) for source in texts.get("sources", "").split()),
        texts.get("database") or None,
        unset,
        texts.get("migration_table") or None,
        texts.get("prefix", ""),
        tuple(sorted(values.keys() - {*_READ, "%inherit", "%include"})),
    )


def _values(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, str], dict[str, Path]]:
    """The keys of [DEFAULT] as they are written, and the file of each: what it inherits first, what it includes last."""
    if path in above:
        raise UsageError(f"{path}: it includes itself, by way of {above[-1]}; remove one of the two lines")
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(plain_file.read(path).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8; save it as UTF-8 text"
        raise UsageError(f"{path}: cannot be read: {reason}") from None
    except configparser.Error as error:
        # The error's own words quote the line, which may hold a password.
        line = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), 0)
        raise UsageError(
            f"{path}:{line}: is no line of an INI file that begins with [DEFAULT]; see yoyo's manual"
        ) from None
    own = dict(parser.defaults())
    values: dict[str, str] = {}
    places: dict[str, Path] = {}
    for key, part in (("%inherit", None), (None, own), ("%include", None)):
        for name in own.get(key, "").split() if key else ():
            included = path.parent / name.removeprefix("?")
            if name.startswith("?") and not included.exists():
                continue
            more, where = _values(included, (*above, path))
            values |= more
            places |= where
        values |= part or {}
        places |= dict.fromkeys(part or {}, path)
    return values, places


def _filled(path: Path, key: str, values: Mapping[str, str], environ: Mapping[str, str], above: tuple[str, ...]) -> str:
    """The value of a key with what it refers to: other keys, here, variables of the environment in any case."""
    if key in above:
        raise UsageError(f"{path}: {key} refers to itself")
    folded = {name.lower(): value for name, value in environ.items()}

    def fill(match: re.Match[str]) -> str:
        name = match[1].lower()
        if name in values:
            return _filled(path, name, values, environ, (*above, key))
        if name == "here":
            return str(path.parent.resolve())
        if name in folded:
            return folded[name]
        raise _UnsetError(f"{path}: {key} needs the variable {match[1]}, which is not set in the environment")

    pieces = values[key].split("%%")
    if any("%" in _REFERENCE.sub("", piece) for piece in pieces):
        raise UsageError(f"{path}: a % in {key} is not followed by (NAME)s; write it as %%")
    return "%".join(_REFERENCE.sub(fill, piece) for piece in pieces)


def _folder(path: Path, source: str) -> str:
    """The folder of a source, which may be one of a package; no package is imported for it."""
    package = _PACKAGE.fullmatch(source)
    if package is None:
        return str(path.parent / source)
    top, *parts = package[1].split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise UsageError(f'{path}: sources names the package "{package[1]}", which is not installed here')
    return str(Path(places[0], *parts, package[2]))
