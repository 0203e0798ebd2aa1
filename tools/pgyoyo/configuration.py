"""[tool.pgyoyo] as it is written in the nearest pyproject.toml or pgyoyo.toml, with every key of a known name and type."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgyoyo import plain_file
from pgyoyo.errors import UsageError, closest

# The first that has a table tool.pgyoyo counts; the second is for projects that are no Python packages.
FILES = ("pyproject.toml", "pgyoyo.toml")
KEYS: Mapping[str, Mapping[str, type[Any]]] = {
    "tool": {"pgyoyo": dict},
    "tool.pgyoyo": {
        "migrations": list,
        "database": str,
        "server": dict,
        "backfill": dict,
        "review": dict,
        "ignore": list,
        "migration_table": str,
        "env": dict,
        "fleet": list,
    },
    "tool.pgyoyo.env.*": {"migrations": list, "database": str, "migration_table": str},
    "tool.pgyoyo.server": {"version": int, "dbname": str, "bin": str},
    "tool.pgyoyo.backfill": dict.fromkeys(
        ("target", "pause", "lock-timeout", "max-replica-lag", "max-wal", "growth", "window"), str
    ),
    "tool.pgyoyo.review": {"sizes": str, "small": str, "queries": str, "new-queries": str},
    "tool.pgyoyo.ignore": {"pattern": str, "reason": str},
}
_TYPES = {str: "a string", int: "a number", dict: "a table"}
_LISTS = {"migrations": "a list of folders", "ignore": "a list of tables with a pattern and a reason",
          "fleet": "a list of tables: [[tool.pgyoyo.fleet]]"}  # fmt: skip


def find(directory: Path) -> tuple[Path, dict[str, Any] | None]:
    """The nearest of FILES with a table tool.pgyoyo, and that table; else the first of `directory`, and None."""
    for path in (folder / name for folder in (directory, *directory.parents) for name in FILES):
        try:
            text = plain_file.read(path).decode("utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if not os.access(path.parent, os.X_OK):
                continue  # a folder above that this account can't look into
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            if path.name == FILES[1]:
                raise UsageError(f"{path}: it is not UTF-8; save it as UTF-8 text") from None
            continue
        if "pgyoyo" not in text.lower() and "\\u" not in text and path.name != FILES[1]:
            continue
        import tomllib  # a project without the file does without

        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not valid TOML: {error}") from None
        tool = document.get("tool")
        # The word may stand anywhere: in a comment, as a dependency, in another section's name.
        if isinstance(tool, dict) and "pgyoyo" in tool:
            refuse_a_strangers(path, directory)
            _check(path, "tool", {"pgyoyo": tool["pgyoyo"]})
            return path, tool["pgyoyo"]
        if path.name == FILES[1] and text.strip():
            raise UsageError(f"{path}: it has no section [tool.pgyoyo]; write that line above its settings")
        if wrong := _misspelt(document):
            raise UsageError(f"{path}: [{wrong}] means nothing; write [tool.pgyoyo]")
    return directory / FILES[0], None


def _misspelt(document: Mapping[str, Any]) -> str:
    """The name of a section that was meant for tool.pgyoyo; "" for none."""
    names = [(name,) for name in document] + [
        (name, below) for name, table in document.items() if isinstance(table, dict) for below in table
    ]
    meant = (("pgyoyo",), ("tool", "pgyoyo"))
    return next((".".join(name) for name in names if tuple(map(str.lower, name)) in meant), "")


def _check(path: Path, section: str, table: Mapping[str, Any]) -> None:
    """Refuse unknown keys and values of another type, in the table and those below it; raises UsageError."""
    if section == "tool.pgyoyo.env":
        for key, value in table.items():
            if not isinstance(value, dict):
                raise UsageError(f"{path}: {key} in [{section}] is {value!r}; write a table [{section}.NAME]")
            _check(path, f"{section}.*", value)
        return
    known = KEYS[section]
    for key, value in table.items():
        if key not in known:
            near = closest(key, known)
            advice = f"did you mean {near}?" if near else "known are " + ", ".join(known)
            raise UsageError(f'{path}: unknown key "{key}" in [{section}]; {advice}')
        if not isinstance(value, known[key]) or isinstance(value, bool) or not _fits(key, value):
            wanted = _LISTS.get(key) or _TYPES[known[key]]
            raise UsageError(f"{path}: {key} in [{section}] is {value!r}; it must be {wanted}")
        if isinstance(value, dict):
            _check(path, f"{section}.{key}", value)
        elif key == "ignore":
            for rule in value:
                _check(path, f"{section}.{key}", rule)


def _fits(key: str, value: Any) -> bool:
    """Whether a list holds what its key wants: at least one folder, or rules with all their keys."""
    if key == "migrations":
        return bool(value) and all(isinstance(folder, str) and folder and "\0" not in folder for folder in value)
    if key == "ignore":
        return all(isinstance(rule, dict) and rule.keys() >= {"pattern", "reason"} for rule in value)
    if key == "fleet":
        return all(isinstance(table, dict) for table in value)
    return not (isinstance(value, str) and "\0" in value)


def refuse_a_strangers(path: Path, directory: Path) -> None:
    """Raises UsageError for settings above the folder that belong to somebody else: in /tmp everybody can."""
    owner = path.stat().st_uid if path.exists() and path.parent != directory else 0
    if owner not in (0, os.geteuid()) and owner != directory.stat().st_uid:
        raise UsageError(
            f"{path}: belongs to another account (uid {owner}), so its settings are not used in {directory}; "
            "write settings here, or move away from it"
        )
