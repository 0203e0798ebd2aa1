"""Where to connect and what to run: flag > environment > [tool.pgyoyo] in pyproject.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgyoyo import units
from pgyoyo.backfill.pacing import Limits
from pgyoyo.errors import UsageError, closest

EMBEDDED = "embedded"
# libpq's own variables that name a server or a database; PGUSER or PGPASSWORD alone name neither.
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE")

_KEYS: Mapping[str, Mapping[str, type]] = {
    "tool": {"pgyoyo": dict},
    "tool.pgyoyo": {"migrations": list, "database": str, "server": dict, "backfill": dict, "ignore": list},
    "tool.pgyoyo.server": {"version": int, "dbname": str},
    "tool.pgyoyo.backfill": dict.fromkeys(
        ("target", "pause", "lock-timeout", "max-replica-lag", "max-wal", "growth"), str
    ),
    "tool.pgyoyo.ignore": {"pattern": str, "reason": str},
}
_TYPES = {list: "a list of folders", str: "a string", int: "a number", dict: "a table"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works on; `database` is "embedded", a conninfo string, or "" for libpq's environment."""

    root: Path
    migrations: tuple[str, ...]
    database: str
    server_version: int
    server_dbname: str
    ignore: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)


def load(*, database: str | None, migrations: Sequence[str], environ: Mapping[str, str], directory: Path) -> Settings:
    """The settings for a command started in `directory`; raises UsageError for what can't be right.

    An empty value of an option or a variable counts as unset.
    """
    root, config = _configuration(directory)
    server = config.get("server", {})
    found = database or environ.get("DATABASE_URL") or None
    if found is None and any(environ.get(name) for name in LIBPQ):
        found = ""
    if found is None:
        found = config.get("database")
    if found is None:
        raise UsageError(
            "no database given: pass --database URL, set DATABASE_URL or libpq's PGHOST, PGSERVICE, …, "
            'or write database = "embedded" under [tool.pgyoyo] in pyproject.toml'
        )
    folders = tuple(folder for folder in migrations if folder)
    if not folders and environ.get("PGYOYO_MIGRATIONS"):
        folders = (environ["PGYOYO_MIGRATIONS"],)
    if not folders:
        folders = tuple(_shown(root / folder, directory) for folder in config.get("migrations", ["sql/migrations"]))
    return Settings(
        root=root,
        migrations=folders,
        database=found,
        server_version=_version(environ.get("PGYOYO_SERVER_VERSION") or server.get("version", 18)),
        server_dbname=server.get("dbname", "postgres"),
        ignore=tuple((rule["pattern"], rule["reason"]) for rule in config.get("ignore", [])),
        limits=_limits(root / "pyproject.toml", config.get("backfill", {})),
    )


def _shown(path: Path, directory: Path) -> str:
    """The path as a person in `directory` would write it."""
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def _version(value: object) -> int:
    if str(value) not in ("16", "18"):
        raise UsageError(f"there is no embedded PostgreSQL {value!r}: 18 or 16 (PGYOYO_SERVER_VERSION)")
    return int(str(value))


def _limits(path: Path, config: Mapping[str, str]) -> Limits:
    """The limits of a backfill, in seconds, bytes and shares."""
    readers = {"pause": units.share, "growth": units.share, "max-wal": units.size}
    found: dict[str, Any] = {}
    for key, text in config.items():
        try:
            value = readers.get(key, units.seconds)(text)
        except ValueError as error:
            raise UsageError(f"{path}: {key} in [tool.pgyoyo.backfill]: {error}") from None
        if not value and key in ("target", "lock-timeout"):
            raise UsageError(f'{path}: {key} in [tool.pgyoyo.backfill] is "{text}"; it must be more than nothing')
        found[key.replace("-", "_")] = value
    return Limits(**found)


def _configuration(directory: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the nearest pyproject.toml that has [tool.pgyoyo], with its content; else `directory` and nothing."""
    for folder in (directory, *directory.parents):
        path = folder / "pyproject.toml"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if "[tool.pgyoyo" not in text:
            continue
        import tomllib

        try:
            tool = tomllib.loads(text).get("tool", {})
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not valid TOML: {error}") from None
        # The words may stand in a comment, or begin another section's name.
        if "pgyoyo" not in tool:
            continue
        _check(path, "tool", {"pgyoyo": tool["pgyoyo"]})
        config: dict[str, Any] = tool["pgyoyo"]
        _check(path, "tool.pgyoyo", config)
        _check(path, "tool.pgyoyo.server", config.get("server", {}))
        _check(path, "tool.pgyoyo.backfill", config.get("backfill", {}))
        for rule in config.get("ignore", []):
            if not isinstance(rule, dict) or not rule.keys() >= {"pattern", "reason"}:
                raise UsageError(f"{path}: an entry of ignore is {rule!r}; it needs a pattern and a reason")
            _check(path, "tool.pgyoyo.ignore", rule)
        return folder, config
    return directory, {}


def _check(path: Path, section: str, content: Mapping[str, Any]) -> None:
    known = _KEYS[section]
    for key, value in content.items():
        if key not in known:
            near = closest(key, known)
            advice = f"did you mean {near}?" if near else "known are " + ", ".join(known)
            raise UsageError(f'{path}: unknown key "{key}" in [{section}]; {advice}')
        if not _fits(key, value, known[key]):
            raise UsageError(f"{path}: {key} in [{section}] is {value!r}; it must be {_TYPES[known[key]]}")


def _fits(key: str, value: Any, wanted: type) -> bool:
    """Whether a value is of the type that its key wants; folders are names, and at least one."""
    if key == "migrations":
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)
    return isinstance(value, wanted) and not isinstance(value, bool)
