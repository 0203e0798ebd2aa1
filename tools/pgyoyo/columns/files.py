"""The files of a column's way to another type or name, for the schema that a project's migrations make."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from psycopg import Connection

from pgyoyo.columns import facts
from pgyoyo.columns.pair import Pair
from pgyoyo.columns.rename import Rename
from pgyoyo.columns.retype import Retype
from pgyoyo.columns.wanted import Wanted
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.engine.observer import SILENT
from pgyoyo.errors import UsageError
from pgyoyo.migrations import plan, style
from pgyoyo.migrations.migration import ROLLBACK, Folders
from pgyoyo.scratch import copies, databases, extensions, present_roles
from pgyoyo.scratch.defaults import Defaults
from pgyoyo.scratch.shared import restored


@contextmanager
def rebuilt(folders: Folders, scratch_server: str, defaults: Defaults) -> Iterator[Connection]:
    """A session with a scratch database that has what all migrations make; dropped at the end. Raises what apply raises."""
    order = plan.order(folders.migrations)
    console = Console()
    with databases.server(scratch_server, console.note) as admin, restored(admin, (*order, *folders.hooks), console):
        extensions.require(admin, (*order, *folders.hooks))
        with copies.new(admin, SILENT, defaults) as scratch:
            here = present_roles.folders_left_alone(admin, folders, console)
            scratch.rebuild(here.migrations, hooks=here.hooks)
            with connection.connect(scratch.conninfo) as conn:
                yield conn


def pairs(conn: Connection, wanted: Wanted) -> list[Pair]:
    """The steps for the column in that database; raises UsageError where it is not there, or can't be done by them."""
    column = facts.read(conn, wanted)

    def free(name: str) -> str:
        return facts.free(conn, column, name)

    if wanted.type:
        kind = facts.type_of(conn, column, wanted.type)
        has_cast, has_equality = facts.casts_back(conn, column, kind), facts.compares(conn, kind)
        return list(Retype(column, kind, free, has_cast=has_cast, has_equality=has_equality).pairs())
    new, is_taken = facts.named_as(conn, column, wanted.name)
    if is_taken:
        raise UsageError(
            f'{column.table} has a column "{wanted.name}" already, or its schema a table or another thing of that name; '
            "choose another"
        )
    return list(Rename(column, new, free).pairs())


def texts(
    steps: Iterable[Pair], wanted: Wanted, ids: Sequence[str], heads: Sequence[str], *, prefix: str = ""
) -> dict[str, str]:
    """The files by name: each step depends on the one before it, the first on `heads`; `ids` are those that are there."""
    known, depends, files = list(ids), " ".join(heads), {}
    words = f"{wanted.table.rpartition('.')[2]}_{wanted.column}"
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    for step in steps:
        migration_id = style.next_id(known, f"{step.verb}_{name}"[:100].strip("_"), datetime.now(UTC), prefix=prefix)
        files[f"{migration_id}.sql"] = step.text(depends)
        files[f"{migration_id}{ROLLBACK}"] = step.rollback()
        known.append(migration_id)
        depends = migration_id
    return files
