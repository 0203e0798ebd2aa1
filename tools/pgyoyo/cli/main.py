"""The command line: which command runs, and how the ways it can end become exit codes."""

import io
import keyword
import signal
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType

import click

from pgyoyo import __version__
from pgyoyo.errors import PgyoyoError, closest
from pgyoyo.text import for_log

# Name: the module that holds the command, which is imported when the command is asked for, and its line in --help.
COMMANDS = {
    "init": ("init", "Set up a project that has no migrations yet."),
    "doctor": ("doctor", "Show what is here, and what to do about it."),
    "apply": ("apply", "Apply the pending migrations."),
    "rollback": ("apply", "Roll back the last migration, or the ones you name."),
    "redo": ("apply", "Roll back the last migration, then apply its current files."),
    "backfill": ("backfill", "Pause, resume, slow down or run backfills."),
    "status": ("status", "Show which migrations are applied and which are pending."),
    "wait": ("wait", "Wait until the migrations are applied."),
    "new": ("new", "Create the next pair of migration files."),
    "check": ("check", "Show every defect of every file; --fix adds missing header lines."),
    "prove": ("prove", "Apply, roll back and reapply migrations, and compare."),
    "review": ("review", "Show what each statement locks, rewrites and changes."),
    "sizes": ("sizes", "Write the sizes of the tables, for pgyoyo review --sizes."),
    "queries": ("queries", "Write the statements that an application sends."),
    "verify": ("schema", "Compare files with the ledger, and the schema with the files."),
    "schema": ("schema", "Write schema.sql and schema.md."),
    "convert": ("convert", "Write the SQL files of Python migrations."),
    "import": ("import_", "Write the migrations of another tool as pairs of files."),
    "adopt": ("adopt", "Take over a database that already has what migrations create."),
    "baseline": ("bookkeeping", "Record migrations up to ID as applied without running them."),
    "mark": ("bookkeeping", "Record migrations as applied without running them."),
    "unmark": ("bookkeeping", "Remove migrations from the ledger without rolling them back."),
    "repair": ("bookkeeping", "Accept the current files of applied migrations."),
    "rename": ("bookkeeping", "Rename an applied migration in the ledger, as its file was."),
    "settle": ("bookkeeping", "Resolve an interrupted statement: mark it done, or run it again."),
    "fleet": ("fleet", "Apply, roll back and compare over many databases or schemas."),
    "server": ("server", "Start, stop and use the embedded PostgreSQL."),
}

# What other tools call it.
ELSEWHERE = {
    **dict.fromkeys(("deploy", "migrate", "up", "upgrade"), "apply"),
    **dict.fromkeys(("down", "downgrade", "revert", "undo"), "rollback"),
    **dict.fromkeys(("add", "create", "generate", "revision"), "new"),
    **dict.fromkeys(("current", "history", "info", "list", "log"), "status"),
    **dict.fromkeys(("diff", "validate"), "verify"),
    "dump": "schema",
    "help": "--help",
    "lint": "check or review",
    "plan": "apply --dry-run",
    "reapply": "redo",
    **{name: f"server {name}" for name in ("pg_dump", "pg_restore", "psql", "start", "stop", "url")},
}

# Those that change no database, or only ones of their own.
READERS = frozenset(("check", "doctor", "prove", "queries", "review", "schema", "sizes", "status", "verify", "wait"))
_INTERRUPTED = "interrupted; what was not committed is rolled back. `pgyoyo status` shows what is applied."

EPILOG = """\b
Exit codes:
  0    done, or nothing to do
  1    failed; or prove or review found a fault
  2    wrong usage or configuration; nothing was changed
  3    migrations are pending (status --exit-code, wait)
  4    files and database differ
  5    another runner holds the lock
  6    done, but the output could not be written
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)
"""


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: the run ends as after ctrl-C, with another exit code."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for; its own help imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command of that name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        module = COMMANDS[cmd_name][0]
        name = module if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"pgyoyo.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The section of the help that lists the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; the error for an unknown name suggests the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if near := ELSEWHERE.get(args[0]) or closest(args[0], COMMANDS):
                raise click.UsageError(f"No such command '{args[0]}'. Did you mean {near}?", ctx) from None
            raise


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="pgyoyo", help="Show the version and exit.")
def cli() -> None:
    """Pure-SQL PostgreSQL migrations with proof, driven by yoyo-migrations.

    `pgyoyo COMMAND --help` lists the options of a command, with examples.
    """


def main() -> None:
    """Run the command line; an error that a user can act on ends as one message and an exit code."""

    def terminate(_: int, __: FrameType | None) -> None:
        raise TerminatedError

    signal.signal(signal.SIGTERM, terminate)
    try:
        cli.main(standalone_mode=False)
    except PgyoyoError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        words = io.StringIO()
        error.show(words)
        _say(words.getvalue().rstrip("\n"))
        sys.exit(2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        reads = set(sys.argv[1:2]) <= READERS
        _say("interrupted" if reads else _INTERRUPTED)
        # click makes an Abort of every KeyboardInterrupt.
        terminated = TerminatedError in (type(error), type(error.__cause__))
        sys.exit(128 + (signal.SIGTERM if terminated else signal.SIGINT))
    except Exception as error:
        # An error of psycopg's can only come from a command that has loaded it.
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        _fail(import_module("pgyoyo.cli.server_errors").explain(error), 1)


def _fail(text: str, code: int) -> None:
    _say(f"error: {text}")
    sys.exit(code)


def _say(text: str) -> None:
    with suppress(OSError):  # stderr is closed or full
        click.echo(for_log(text), err=True)
