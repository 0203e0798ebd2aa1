"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pgyoyo import units

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Seconds, written as 500ms, 60s, 10min, or a bare number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; click's own failure where the text is no time."""
        if isinstance(value, float):
            return value
        try:
            return units.seconds(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class Share(click.ParamType):  # type: ignore[type-arg]  # as above
    """A part of something, written as 25%."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """0.25; click's own failure where the text is no percentage."""
        try:
            return units.share(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


def database_option(command: F) -> F:
    """--database."""
    return click.option(
        "--database", metavar="URL", help="Where to connect; else DATABASE_URL, libpq's PG* variables, pyproject.toml."
    )(command)


def migrations_option(command: F) -> F:
    """--migrations."""
    return click.option("--migrations", metavar="DIR", multiple=True, help="Folder of .sql files; may be given again.")(
        command
    )


def place_options(command: F) -> F:
    """--database and --migrations, so that a script may give them to every command."""
    return database_option(migrations_option(command))


def common(command: F) -> F:
    """--database, --migrations and how much to say."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
    ):
        command = option(command)
    return place_options(command)


def runs(command: F) -> F:
    """What every command takes that changes a database."""
    for option in (
        click.option("--give-up-after", type=Duration(), default=600.0, metavar="TIME",
                     help="How long to try again for a table's lock (10min)."),
        click.option("--wait", type=Duration(), metavar="TIME",
                     help="How long to wait for another runner (60s), or for a server that is starting."),
    ):  # fmt: skip
        command = option(command)
    return command


def backfills(command: F) -> F:
    """How much of a backfill others may notice."""
    for option in (
        click.option("--pause", type=Share(), metavar="PERCENT",
                     help="How long a backfill rests after each batch, as a share of its time (10%)."),
        click.option("--max-replica-lag", type=Duration(), metavar="TIME",
                     help="How far replicas may be behind before a backfill waits (2s); 0 is no limit."),
    ):  # fmt: skip
        command = option(command)
    return command


def run_as_a_whole(command: F) -> F:
    """--single-transaction and --dry-run."""
    for option in (
        click.option(
            "--dry-run", "dry", is_flag=True, help="Print the SQL that would be sent, for psql; send nothing."
        ),
        click.option(
            "--single-transaction", "single", is_flag=True, help="Everything or nothing: one transaction for all."
        ),
    ):
        command = option(command)
    return command


def scratch_option(command: F) -> F:
    """--scratch."""
    return click.option(
        "--scratch", metavar="URL", help="Server for scratch databases, which are dropped again; else the embedded one."
    )(command)
