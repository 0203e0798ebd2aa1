"""The command line: flags in, exit code out."""

import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import click

from pgyoyo import __version__, settings
from pgyoyo.cli.context import address, embedded, load, migrator, note, place, scratch_target
from pgyoyo.cli.options import backfills, common, migrations_option, place_options, run_as_a_whole, runs, scratch_option
from pgyoyo.errors import PgyoyoError, ServerError, UsageError, closest

EPILOG = (
    "Exit codes: 0 done or nothing to do, 1 failed, 2 usage, 3 migrations are pending (when asked), "
    "4 files and database differ, 5 someone else holds the lock, 130 and 143 ended by SIGINT and SIGTERM."
)


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: the run ends as after ctrl-C, with another exit code."""


class Commands(click.Group):
    """The commands of this module, and those of others, which are imported when they are asked for."""

    _elsewhere: ClassVar = {"review": "pgyoyo.cli.review", "server": "pgyoyo.cli.server"}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all."""
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if cmd_name not in self._elsewhere:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(self._elsewhere[cmd_name]), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; of a name that is none it says which was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if near := closest(args[0], self.list_commands(ctx)):
                raise click.UsageError(f"No such command '{args[0]}'. Did you mean {near}?", ctx) from None
            raise


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="pgyoyo")
def cli() -> None:
    """Pure-SQL PostgreSQL migrations with proof, driven by yoyo-migrations."""


@cli.command(epilog=EPILOG)
@common
@runs
@click.option("--to", "target", metavar="ID", help="The last migration to apply.")
@click.option("--strict", is_flag=True, help="Refuse late files and missing files, which are only said otherwise.")
@backfills
@run_as_a_whole
def apply(target: str | None, **options: Any) -> None:
    """Apply the pending migrations, each in one transaction with its record."""
    with migrator(**options) as one:
        one.apply(target=target)
        if load(database=options["database"]).database == settings.EMBEDDED and not one.dry:
            found = load(database=settings.EMBEDDED)
            one.console.result(f"connect: {embedded(found).url(found.server_dbname)}")


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--to", "target", metavar="ID", help="Roll back everything after this one, which stays applied.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Roll back the last N.")
@click.option("--all", "everything", is_flag=True, help="Roll back everything.")
@run_as_a_whole
def rollback(
    ids: tuple[str, ...],
    target: str | None,
    count: int | None,
    everything: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Roll back the last migration, or what the options say, last applied first."""
    if sum((bool(ids), target is not None, count is not None, everything)) > 1:
        raise UsageError("give ids, --to, --count or --all: one of them")
    with migrator(**options) as one:
        one.rollback(ids=ids, target=target, count=count, everything=everything)


@cli.command(epilog=EPILOG)
@common
@runs
@backfills
@click.option("--count", type=click.IntRange(min=1), default=1, metavar="N", help="The last N (1).")
def redo(count: int, **options: Any) -> None:
    """Roll back the last migration and apply it again, as its files are now."""
    with migrator(**options) as one:
        one.redo(count=count)


@cli.command(epilog=EPILOG)
@common
@runs
@click.option("--to", "target", metavar="ID", required=True, help="The last migration that the database already has.")
@click.option("--yes", is_flag=True, help="Record without asking.")
def baseline(target: str, yes: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Adopt a database that has the tables already: record everything up to ID as applied, running nothing."""
    from pgyoyo import bookkeeping

    with migrator(**options) as one:
        chosen = [migration.id for migration in bookkeeping.to_baseline(one, target)]
        if not chosen:
            one.console.result(f"nothing to do: {target} and everything before it is recorded")
            return
        one.console.answer(f"{place(one)}: to be recorded as applied, without running:")
        one.console.answer("".join(f"  {name}\n" for name in chosen).rstrip())
        if not yes and not (sys.stdin.isatty() and click.confirm("Record them?")):
            raise UsageError("nothing was recorded; --yes records them")
        bookkeeping.mark(one, chosen)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def mark(ids: tuple[str, ...], **options: Any) -> None:
    """Record migrations as applied without running them."""
    from pgyoyo import bookkeeping

    with migrator(**options) as one:
        bookkeeping.mark(one, ids)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def unmark(ids: tuple[str, ...], **options: Any) -> None:
    """Take migrations out of the ledger without rolling them back."""
    from pgyoyo import bookkeeping

    with migrator(**options) as one:
        bookkeeping.unmark(one, ids)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def repair(ids: tuple[str, ...], **options: Any) -> None:
    """Accept files that were edited after they were applied."""
    from pgyoyo import bookkeeping

    with migrator(**options) as one:
        bookkeeping.repair(one, ids)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("name", metavar="ID")
@click.option("--done/--again", default=None, required=True, help="It took effect: go on after it; or run it again.")
def settle(name: str, done: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Say what became of a statement whose runner died while it ran."""
    from pgyoyo import bookkeeping

    with migrator(**options) as one:
        bookkeeping.settle(one, name, done=done)


@cli.command("status", epilog=EPILOG)
@common
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", help="For a person or a program."
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 if migrations are pending.")
def show_status(layout: str, exit_code: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Show what is applied and what is pending; changes nothing."""
    from pgyoyo.cli.status import status_json, status_lines

    with migrator(**options) as one:
        status = one.status()
        where, runner = place(one), one.at_work(status)
        if layout == "json":
            one.console.answer(status_json(address(one), status, runner))
        else:
            one.console.answer("\n".join(status_lines(where, status, runner)))
    if status.edited:
        sys.exit(4)
    if exit_code and status.pending:
        sys.exit(3)


@cli.command(epilog=EPILOG)
@common
@scratch_option
@click.option(
    "--ignore", "patterns", metavar="PATTERN", multiple=True, help='Differences that are meant, as "index *.tmp_*".'
)
def verify(patterns: tuple[str, ...], scratch: str | None, **options: Any) -> None:
    """Hold files against ledger, and the live catalog against what the applied migrations give; reads only."""
    from pgyoyo.schema import files as schemas
    from pgyoyo.schema import verify as verifying

    found = load(database=options["database"])
    rules = [verifying.Ignore(pattern, reason) for pattern, reason in found.ignore]
    rules += [verifying.Ignore(pattern, "--ignore") for pattern in patterns]
    with migrator(**options) as one:
        try:
            server = scratch_target(scratch, one.conn.info.server_version)
        except ServerError as error:
            note(f"{error}\nagainst schema.sql instead, since there is no scratch server:")
            verdict = verifying.against_file(one, schemas.beside(one.folders) / "schema.sql")
        else:
            verdict = verifying.verify(one, server, rules)
        one.console.answer("\n".join([place(one), *verifying.verdict_lines(verdict)]))
    if verdict.ledger or verdict.changes or verdict.diff:
        sys.exit(4)


@cli.command(epilog=EPILOG)
@click.option("--check", is_flag=True, help="Write nothing; exit with 4, and a diff, if the files are not up to date.")
@migrations_option
@scratch_option
@click.option("--output", metavar="FOLDER", help="Where the two files stand; else beside the folder of migrations.")
def schema(check: bool, migrations: tuple[str, ...], scratch: str | None, output: str | None) -> None:  # noqa: FBT001
    """Write schema.sql and schema.md, the schema after all migrations, from a scratch database."""
    from pgyoyo.migrations import reader
    from pgyoyo.schema import files as writing

    found = load(database=settings.EMBEDDED, migrations=migrations)
    folders = reader.read(found.migrations)
    folder = Path(output) if output else writing.beside(folders)
    files = writing.build(folders, scratch_target(scratch, found.server_version * 10000), folder)
    if check:
        writing.check(files)
    changed = [] if check else writing.write(files)
    for path in files:
        click.echo(f"wrote {path}" if path in changed else f"{path} is up to date")


@cli.command(epilog=EPILOG)
@click.option("-q", "--quiet", is_flag=True, help="Print failures and warnings only.")
@migrations_option
@scratch_option
@click.option("--from", "start", metavar="ID", help="The first migration to prove; those before it are only applied.")
@click.option("--chain", is_flag=True, help="Accept rollbacks that restore the catalog only together.")
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", help="For a person or a program."
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
def prove(layout: str, migrations: tuple[str, ...], scratch: str | None, quiet: bool, **options: Any) -> None:  # noqa: FBT001
    """Prove every migration on a scratch database: up, down to exactly what was there, rows and all, and up again."""
    from pgyoyo import console
    from pgyoyo.migrations import reader
    from pgyoyo.prove import proof as proofs_in_words
    from pgyoyo.prove import prover as proving
    from pgyoyo.scratch.databases import server as scratch_server

    found = load(database=settings.EMBEDDED, migrations=migrations)
    folders = reader.read(found.migrations)
    said = console.Console(quiet)
    proofs = []
    with scratch_server(scratch_target(scratch, found.server_version * 10000)) as admin:
        for proof in proving.prove(admin, folders, said, alone=scratch is not None, **options):
            proofs.append(proof)
            if layout == "text":
                said.lines(proofs_in_words.proof_lines(proof), keep=bool(proof.failures))
    said.answer(proofs_in_words.proof_json(proofs) if layout == "json" else proofs_in_words.proof_summary(proofs))
    if any(proof.failures for proof in proofs):
        sys.exit(1)


@cli.command()
@click.argument("name")
@place_options
def new(name: str, database: str | None, migrations: tuple[str, ...]) -> None:  # noqa: ARG001 - no database is needed
    """Write the next pair of files, NNNN_NAME.sql and its rollback."""
    from pgyoyo.migrations import scaffold

    found = load(database=settings.EMBEDDED, migrations=migrations)
    for path in scaffold.write(Path(found.migrations[0]), name):
        click.echo(f"wrote {path}")


def main() -> None:
    """Run the command line; every error of a user's making ends as one message and an exit code."""

    def terminate(_: int, __: FrameType | None) -> None:
        raise TerminatedError

    signal.signal(signal.SIGTERM, terminate)
    try:
        cli.main(standalone_mode=False)
    except PgyoyoError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo("interrupted; what was not committed is rolled back. `pgyoyo status` shows what stands.", err=True)
        # click makes an Abort of every KeyboardInterrupt.
        terminated = TerminatedError in (type(error), type(error.__cause__))
        sys.exit(128 + (signal.SIGTERM if terminated else signal.SIGINT))
