"""Options and pieces of help that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pgyoyo import units

F = TypeVar("F", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    """The end of a command's help: command lines, each as it is typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def hinting(hint: str) -> type[click.Command]:
    """A command that takes no argument, and says what to write in place of one."""

    class Hinting(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            try:
                return super().parse_args(ctx, args)
            except click.UsageError as error:
                if "extra argument" not in error.message:
                    raise
                raise click.UsageError(f"{error.message}; {hint}", ctx) from None

    return Hinting


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Seconds, written as 500ms, 60s, 10min, or a bare number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; click's own failure where the text is not a duration."""
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
        """0.25; click's own failure where the text is not a percentage."""
        try:
            return units.share(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class Size(click.ParamType):  # type: ignore[type-arg]  # as above
    """Bytes, written as 10MB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes; click's own failure where the text is not a size."""
        if isinstance(value, int):
            return value
        try:
            return units.size(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


def _group(*options: Callable[[F], F]) -> Callable[[F], F]:
    """A decorator that adds the options, in the order of the help."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


database_option = click.option(
    "--database", metavar="URL",
    help="Database to connect to; by default DATABASE_URL, libpq's PG* variables, or pyproject.toml.",
)  # fmt: skip
migrations_option = click.option(
    "--migrations", metavar="DIR", multiple=True, help="Folder of .sql files; may be given more than once."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print only errors and warnings.")
format_option = click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
scratch_option = click.option(
    "--scratch", metavar="URL",
    help="Server to create scratch databases on, which are dropped at the end; by default one of the project's own.",
)  # fmt: skip


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Keep an option for config.load, whatever command it was given to."""
    if value:
        context.meta[f"pgyoyo.{(parameter.name or '').replace('_', '-')}"] = value


env_options = _group(
    click.option("--env", metavar="NAME", expose_value=False, callback=_remember,
                 help="Take the settings of [tool.pgyoyo.env.NAME]."),
    click.option("--env-file", metavar="FILE", expose_value=False, callback=_remember,
                 help="Read unset variables from a .env file."),
)  # fmt: skip

place_options = _group(database_option, migrations_option, env_options)
"""--database and --migrations, so that a script may give them to every command."""

common = _group(
    place_options, quiet_option, click.option("-v", "--verbose", is_flag=True, help="Print more detail.")
)  # fmt: skip
"""The same, and how much to print."""

runs = _group(
    click.option("--wait", type=Duration(), metavar="TIME",
                 help="How long to wait for another runner (60s), or for a server that is starting."),
    click.option("--give-up-after", type=Duration(), default=600.0, metavar="TIME",
                 help="How long to keep retrying for a table's lock (10min)."),
)  # fmt: skip
"""What every command takes that changes a database."""

backfills = _group(
    click.option("--pause", type=Share(), metavar="PERCENT",
                 help="Pause of a backfill after each batch, as a percentage of the batch's duration (10%)."),
    click.option("--max-replica-lag", type=Duration(), metavar="TIME",
                 help="Let a backfill wait while a replica lags more than this (2s); 0 means no limit."),
)  # fmt: skip
"""How much of a backfill others may notice."""

run_as_a_whole = _group(
    click.option("--single-transaction", "single", is_flag=True, help="Run all migrations in one transaction."),
    click.option("--dry-run", "dry", is_flag=True, help="Print the SQL that would run, as psql takes it; run nothing."),
)
"""--single-transaction and --dry-run."""
