"""Where to connect and what to run: flag > environment > [tool.pgyoyo] in pyproject.toml or pgyoyo.toml > yoyo.ini."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pgyoyo
import pgyoyo.server
from pgyoyo import configuration, units
from pgyoyo.backfill.pacing import Limits
from pgyoyo.errors import UsageError

if TYPE_CHECKING:
    from pgyoyo.yoyo_ini import YoyoIni

EMBEDDED = "embedded"
OLDEST = 14  # the oldest major version that the tool works with
# yoyo/migrations.py, default_migration_table.
MIGRATION_TABLE = "_yoyo_migration"
# libpq's own variables that name a server or a database; PGUSER or PGPASSWORD alone name neither.
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works on; `database` is "embedded", a conninfo string, "" for libpq's environment, None for none.

    `sizes` is the path of the file that pgyoyo sizes wrote, `small` the bytes below which a table is small to a review,
    `queries` the path of the file of statements that the running release sends, `new_queries` that of the new release.
    `migration_table` is the ledger's name, `ini` the yoyo.ini that was read in place of [tool.pgyoyo], `fleets` the tables of
    [[tool.pgyoyo.fleet]] as they are written. `unset` says which variable the database needs that is not set.
    """

    root: Path
    migrations: tuple[str, ...]
    database: str | None
    server_version: int
    server_dbname: str
    server_bin: Path | None = None
    ignore: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)
    sizes: str | None = None
    small: int | None = None
    queries: str | None = None
    new_queries: str | None = None
    migration_table: str = MIGRATION_TABLE
    ini: "YoyoIni | None" = None
    fleets: tuple[Mapping[str, Any], ...] = ()
    unset: str = ""

    def require_database(self) -> str:
        """The database; raises UsageError where none is given."""
        if self.database is None:
            if unset := self.unset or (self.ini and self.ini.unset):
                raise UsageError(f"{unset}; set it, set DATABASE_URL, or pass --database URL")
            raise UsageError(
                "no database given: pass --database URL, set DATABASE_URL or libpq's PGHOST, PGSERVICE, …, "
                'or write database = "embedded" under [tool.pgyoyo] in pyproject.toml'
            )
        return self.database


def load(
    *,
    database: str | None,
    migrations: Sequence[str],
    environ: Mapping[str, str],
    directory: Path,
    environment: str | None = None,
) -> Settings:
    """The settings for a command started in `directory`; raises UsageError for a value that is not allowed.

    Those of [tool.pgyoyo.env.ENVIRONMENT], where one is chosen, overrule the variables.
    An empty value of an option or a variable counts as unset.
    """
    source, config = configuration.find(directory)
    ini = None
    if config is None or not _OF_YOYO & config.keys():
        path, ini, values = _of_yoyo(source, directory, environ)
        if config is None or path.parent == source.parent:
            source, config = (path if config is None else source), values | (config or {})
        else:
            ini = None
    if environment:
        config = pgyoyo.environments.choose(config, environment, environ, source)
        database = database or (config["env"][environment].get("database") and config["database"])
    root = source.parent
    server, review = config.get("server", {}), config.get("review", {})
    database, unset = _database(database, environ, None if ini else source, config.get("database"))
    folders = tuple(filter(None, migrations)) or tuple(filter(None, [environ.get("PGYOYO_MIGRATIONS")]))
    if not folders:
        folders = tuple(_shown(root / folder, directory) for folder in config.get("migrations", ["sql/migrations"]))
    version, programs = _server(environ.get("PGYOYO_SERVER_VERSION"), server, root)
    return Settings(
        root=root,
        migrations=folders,
        database=database,
        server_version=version,
        server_dbname=server.get("dbname", "postgres"),
        server_bin=programs,
        ignore=tuple((rule["pattern"], rule["reason"]) for rule in config.get("ignore", [])),
        limits=_limits(source, config.get("backfill", {})),
        sizes=_shown(root / review["sizes"], directory) if "sizes" in review else None,
        small=_small(source, review),
        queries=_shown(root / review["queries"], directory) if "queries" in review else None,
        new_queries=_shown(root / review["new-queries"], directory) if "new-queries" in review else None,
        fleets=tuple(config.get("fleet", ())),
        migration_table=config.get("migration_table", MIGRATION_TABLE),
        ini=ini,
        unset=unset,
    )


def _database(
    option: str | None, environ: Mapping[str, str], source: Path | None, setting: str | None
) -> tuple[str | None, str]:
    """The database, and which variable it needs that is not set; `source` is None where yoyo.ini had the setting."""
    if named := option or environ.get("DATABASE_URL"):
        return named, ""
    if any(environ.get(name) for name in LIBPQ):
        return "", ""
    if setting and "$" in setting and source:
        return pgyoyo.environments.database_of(setting, environ, f"{source}: database in [tool.pgyoyo]")
    return setting, ""


# What yoyo.ini says, too: with one of these, [tool.pgyoyo] takes its place; with tables such as server only, it adds to it.
_OF_YOYO = frozenset(("migrations", "database", "migration_table"))


def _of_yoyo(
    source: Path, directory: Path, environ: Mapping[str, str]
) -> tuple[Path, "YoyoIni | None", dict[str, Any]]:
    """The nearest yoyo.ini and what it says, in words of [tool.pgyoyo]; else `source` and nothing."""
    if not any(os.path.lexists(folder / "yoyo.ini") for folder in (directory, *directory.parents)):
        return source, None, {}
    path = pgyoyo.yoyo_ini.find(directory)
    assert path
    configuration.refuse_a_strangers(path, directory)
    ini = pgyoyo.yoyo_ini.read(path, environ)
    values = {"migrations": list(ini.folders), "database": ini.database, "migration_table": ini.migration_table}
    return path, ini, {key: value for key, value in values.items() if value}


def _shown(path: Path, directory: Path) -> str:
    """The path as a person in `directory` would write it."""
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def _server(named: str | None, server: Mapping[str, Any], root: Path) -> tuple[int, Path | None]:
    """The major version of the embedded server, and the folder of its programs where that is not to be looked for.

    A version in the environment that is not the one of the folder that is named is looked for elsewhere.
    """
    if "bin" not in server:
        return _version(named or server.get("version", 18)), None
    folder = root / Path(server["bin"]).expanduser()
    version = _version(server["version"]) if "version" in server else pgyoyo.server.installs.version_of(folder)
    if named and _version(named) != version:
        return _version(named), None
    return version, folder


def _version(value: object) -> int:
    text = str(value)
    if not (text.isdecimal() and text.isascii() and OLDEST <= int(text) < 100):
        raise UsageError(
            f"there is no PostgreSQL {value!r} to embed: give a major version, such as 18 (version in [tool.pgyoyo.server], "
            "PGYOYO_SERVER_VERSION)"
        )
    return int(text)


def _limits(path: Path, config: Mapping[str, str]) -> Limits:
    """The limits of a backfill, in seconds, bytes and shares."""
    readers: dict[str, Callable[[str], Any]] = {
        "pause": units.share, "growth": units.share, "max-wal": units.size, "window": _window,
    }  # fmt: skip
    limits: dict[str, Any] = {}
    for key, text in config.items():
        try:
            value = readers.get(key, units.seconds)(text)
        except ValueError as error:
            raise UsageError(f"{path}: {key} in [tool.pgyoyo.backfill]: {error}") from None
        if not value and key in ("target", "lock-timeout"):
            raise UsageError(f'{path}: {key} in [tool.pgyoyo.backfill] is "{text}"; it must be greater than zero')
        limits[key.replace("-", "_")] = value
    return Limits(**limits)


def _window(text: str) -> str:
    if not units.is_window(text):
        raise ValueError(f'"{text}" is no window; write two times of the day, 22:00-06:00')
    return text


def _small(path: Path, review: Mapping[str, str]) -> int | None:
    try:
        return units.size(review["small"]) if "small" in review else None
    except ValueError as error:
        raise UsageError(f"{path}: small in [tool.pgyoyo.review]: {error}") from None
