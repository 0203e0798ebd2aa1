"""The command line: flags in, exit code out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pgyoyo import __version__, settings
from pgyoyo.errors import PgyoyoError, UsageError

if TYPE_CHECKING:
    from types import FrameType

    from pgyoyo.migrator import Migrator
    from pgyoyo.server import EmbeddedServer

F = TypeVar("F", bound=Callable[..., Any])

EPILOG = (
    "Exit codes: 0 done or nothing to do, 1 failed, 2 usage, 3 migrations are pending (when asked), "
    "4 files and database differ, 5 someone else holds the lock, 130 and 143 ended by SIGINT and SIGTERM."
)


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: the run ends as after ctrl-C, with another exit code."""


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Seconds, written as 500ms, 60s, 10min, or a bare number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; click's own failure where the text is no time."""
        if isinstance(value, float):
            return value
        for unit, factor in (("ms", 0.001), ("min", 60.0), ("s", 1.0), ("h", 3600.0), ("", 1.0)):
            number = str(value).removesuffix(unit) if unit else str(value)
            if number != str(value) or not unit:
                try:
                    return float(number) * factor
                except ValueError:
                    break
        return self.fail(f'"{value}" is no time; write 500ms, 60s or 10min', param, ctx)


def database_option(command: F) -> F:
    """--database."""
    return click.option(
        "--database", metavar="URL", help="Where to connect; else DATABASE_URL, libpq's PG* variables, pyproject.toml."
    )(command)


def common(command: F) -> F:
    """--database, --migrations and how much to say."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
        click.option("--migrations", metavar="DIR", multiple=True, help="Folder of .sql files; may be given again."),
    ):
        command = option(command)
    return database_option(command)


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


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pgyoyo")
def cli() -> None:
    """Pure-SQL PostgreSQL migrations with proof, driven by yoyo-migrations."""


@cli.command(epilog=EPILOG)
@common
@runs
@click.option("--to", "target", metavar="ID", help="The last migration to apply.")
@click.option("--strict", is_flag=True, help="Refuse late files and missing files, which are only said otherwise.")
@run_as_a_whole
def apply(target: str | None, **options: Any) -> None:
    """Apply the pending migrations, each in one transaction with its record."""
    with migrator(**options) as one:
        one.apply(target=target)
        if load(database=options["database"]).database == settings.EMBEDDED and not one.dry:
            found = load(database=settings.EMBEDDED)
            one.report.result(f"connect: {embedded(found).url(found.server_dbname)}")


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
    from pgyoyo import bookkeeping  # noqa: PLC0415 - see migrator()

    with migrator(**options) as one:
        chosen = [migration.id for migration in bookkeeping.to_baseline(one, target)]
        if not chosen:
            one.report.result(f"nothing to do: {target} and everything before it is recorded")
            return
        one.report.answer(f"{place(one)}: to be recorded as applied, without running:")
        one.report.answer("".join(f"  {name}\n" for name in chosen).rstrip())
        if not yes and not (sys.stdin.isatty() and click.confirm("Record them?")):
            raise UsageError("nothing was recorded; --yes records them")
        bookkeeping.mark(one, chosen)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def mark(ids: tuple[str, ...], **options: Any) -> None:
    """Record migrations as applied without running them."""
    from pgyoyo import bookkeeping  # noqa: PLC0415 - see migrator()

    with migrator(**options) as one:
        bookkeeping.mark(one, ids)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def unmark(ids: tuple[str, ...], **options: Any) -> None:
    """Take migrations out of the ledger without rolling them back."""
    from pgyoyo import bookkeeping  # noqa: PLC0415 - see migrator()

    with migrator(**options) as one:
        bookkeeping.unmark(one, ids)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def repair(ids: tuple[str, ...], **options: Any) -> None:
    """Accept files that were edited after they were applied."""
    from pgyoyo import bookkeeping  # noqa: PLC0415 - see migrator()

    with migrator(**options) as one:
        bookkeeping.repair(one, ids)


@cli.command(epilog=EPILOG)
@common
@runs
@click.argument("name", metavar="ID")
@click.option("--done/--again", default=None, required=True, help="It took effect: go on after it; or run it again.")
def settle(name: str, done: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Say what became of a statement whose runner died while it ran."""
    from pgyoyo import bookkeeping  # noqa: PLC0415 - see migrator()

    with migrator(**options) as one:
        bookkeeping.settle(one, name, done=done)


@cli.command(epilog=EPILOG)
@common
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", help="For a person or a program."
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 if migrations are pending.")
def status(layout: str, exit_code: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Show what is applied and what is pending; changes nothing."""
    from pgyoyo import report  # noqa: PLC0415 - see migrator()

    with migrator(**options) as one:
        comparison, found = one.compare()
        where = place(one)
        if layout == "json":
            one.report.answer(report.status_json(address(one), comparison, found))
        else:
            one.report.answer("\n".join(report.status_lines(where, comparison, found)))
    if comparison.edited:
        sys.exit(4)
    if exit_code and comparison.pending:
        sys.exit(3)


@cli.command(epilog=EPILOG)
@common
@scratch_option
@click.option(
    "--ignore", "patterns", metavar="PATTERN", multiple=True, help='Differences that are meant, as "index *.tmp_*".'
)
def verify(patterns: tuple[str, ...], scratch: str | None, **options: Any) -> None:
    """Hold files against ledger, and the live catalog against what the applied migrations give; reads only."""
    from pgyoyo import report  # noqa: PLC0415 - see migrator()
    from pgyoyo import verify as verifying  # noqa: PLC0415

    found = load(database=options["database"])
    rules = [verifying.Ignore(pattern, reason) for pattern, reason in found.ignore]
    rules += [verifying.Ignore(pattern, "--ignore") for pattern in patterns]
    with migrator(**options) as one:
        verdict = verifying.verify(one, scratch_target(scratch, one.conn.info.server_version), rules)
        one.report.answer("\n".join([place(one), *report.verdict_lines(verdict)]))
    if verdict.ledger or verdict.changes:
        sys.exit(4)


@cli.command(epilog=EPILOG)
@click.option("--check", is_flag=True, help="Write nothing; exit with 4, and a diff, if the files are not up to date.")
@click.option("--migrations", metavar="DIR", multiple=True, help="Folder of .sql files; may be given again.")
@scratch_option
@click.option("--output", metavar="FOLDER", help="Where the two files stand; else beside the folder of migrations.")
def schema(check: bool, migrations: tuple[str, ...], scratch: str | None, output: str | None) -> None:  # noqa: FBT001
    """Write schema.sql and schema.md, the schema after all migrations, from a scratch database."""
    from pgyoyo import migration  # noqa: PLC0415 - see migrator()
    from pgyoyo import schema as writing  # noqa: PLC0415

    found = load(database=settings.EMBEDDED, migrations=migrations)
    folders = migration.read(found.migrations)
    folder = Path(output) if output else writing.beside(folders)
    files = writing.build(folders, scratch_target(scratch, found.server_version * 10000), folder)
    if check:
        writing.check(files)
    changed = [] if check else writing.write(files)
    for path in files:
        click.echo(f"wrote {path}" if path in changed else f"{path} is up to date")


@cli.command(epilog=EPILOG)
@click.option("-q", "--quiet", is_flag=True, help="Print failures and warnings only.")
@click.option("--migrations", metavar="DIR", multiple=True, help="Folder of .sql files; may be given again.")
@scratch_option
@click.option("--from", "start", metavar="ID", help="The first migration to prove; those before it are only applied.")
@click.option("--chain", is_flag=True, help="Accept rollbacks that restore the catalog only together.")
@click.option(
    "--format", "layout", type=click.Choice(["text", "json"]), default="text", help="For a person or a program."
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
def prove(layout: str, migrations: tuple[str, ...], scratch: str | None, quiet: bool, **options: Any) -> None:  # noqa: FBT001
    """Prove every migration on a scratch database: up, down to exactly what was there, rows and all, and up again."""
    from pgyoyo import migration, report  # noqa: PLC0415 - see migrator()
    from pgyoyo import prove as proving  # noqa: PLC0415
    from pgyoyo.scratch import server as scratch_server  # noqa: PLC0415

    found = load(database=settings.EMBEDDED, migrations=migrations)
    folders = migration.read(found.migrations)
    said = report.Report(quiet)
    proofs = []
    with scratch_server(scratch_target(scratch, found.server_version * 10000)) as admin:
        for proof in proving.prove(admin, folders, said, alone=scratch is not None, **options):
            proofs.append(proof)
            if layout == "text":
                said.proof(proof)
    said.answer(report.proof_json(proofs) if layout == "json" else report.proof_summary(proofs))
    if any(proof.failures for proof in proofs):
        sys.exit(1)


@cli.command()
@click.argument("name")
@click.option("--migrations", metavar="DIR", multiple=True, help="Folder to write into.")
def new(name: str, migrations: tuple[str, ...]) -> None:
    """Write the next pair of files, NNNN_NAME.sql and its rollback."""
    from pgyoyo import scaffold  # noqa: PLC0415 - see migrator()

    found = load(database=settings.EMBEDDED, migrations=migrations)
    for path in scaffold.write(Path(found.migrations[0]), name):
        click.echo(f"wrote {path}")


@cli.group()
def server() -> None:
    """The embedded PostgreSQL of this checkout."""


@server.command("start")
def server_start() -> None:
    """Start it, and make its database if it is not there."""
    found = load(database=settings.EMBEDDED)
    one = embedded(found)
    click.echo("started" if one.ensure_running(note) else "is running already", nl=False)
    one.ensure_database(found.server_dbname)
    click.echo(f": {one.url(found.server_dbname)}")


@server.command("stop")
def server_stop() -> None:
    """Stop it, whichever version runs; its data stays."""
    from pgyoyo.server import INSTALLS, EmbeddedServer  # noqa: PLC0415 - see migrator()

    home = load(database=settings.EMBEDDED).root / ".postgres"
    stopped = [version for version in INSTALLS if EmbeddedServer(home, version=version).stop()]
    click.echo("\n".join(f"stopped PostgreSQL {version}" for version in stopped) or "was not running")


@server.command("url")
@database_option
def server_url(database: str | None) -> None:
    """Print the database's URL, its password left out."""
    from pgyoyo import connection  # noqa: PLC0415 - see migrator()

    found = load(database=database)
    if found.database == settings.EMBEDDED:
        one = embedded(found)
        one.ensure_running(note)
        one.ensure_database(found.server_dbname)
        click.echo(one.url(found.server_dbname))
    else:
        click.echo(connection.redact(found.database, found.database) or "libpq's environment (PGHOST, PGSERVICE, …)")


@server.command("psql", context_settings={"ignore_unknown_options": True})
@database_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def server_psql(database: str | None, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; further arguments are psql's."""
    from pgyoyo import shell  # noqa: PLC0415 - see migrator()

    found = load(database=database)
    shell.psql(target(found), arguments, embedded(found))


def load(*, database: str | None, migrations: tuple[str, ...] = ()) -> settings.Settings:
    """The settings of this command."""
    return settings.load(database=database, migrations=migrations, environ=os.environ, directory=Path.cwd())


def note(text: str) -> None:
    """A line about the server, beside the results."""
    click.echo(text, err=True)


def embedded(found: settings.Settings) -> EmbeddedServer:
    """The embedded server of the project's folder."""
    from pgyoyo.server import EmbeddedServer  # noqa: PLC0415 - see migrator()

    return EmbeddedServer(found.root / ".postgres", version=found.server_version)


def target(found: settings.Settings) -> str:
    """The conninfo to connect with; starts the embedded server where it is the target."""
    from pgyoyo import connection  # noqa: PLC0415 - see migrator()

    if found.database != settings.EMBEDDED:
        return connection.normalize(found.database)
    one = embedded(found)
    one.ensure_running(note)
    one.ensure_database(found.server_dbname)
    return one.conninfo(found.server_dbname)


def scratch_target(scratch: str | None, version: int = 180000) -> str:
    """The conninfo of a server for scratch databases: the one given, else the embedded one, of the version if it can be."""
    from pgyoyo import connection  # noqa: PLC0415 - see migrator()
    from pgyoyo.server import EmbeddedServer  # noqa: PLC0415

    if scratch:
        return connection.normalize(scratch)
    one = EmbeddedServer(load(database=settings.EMBEDDED).root / ".postgres", version=16 if version < 170000 else 18)
    one.ensure_running(note)
    return one.conninfo("postgres")


def address(one: Migrator) -> dict[str, object]:
    """Where the migrator is connected."""
    info = one.conn.info
    version = f"{info.server_version // 10000}.{info.server_version % 10000}"
    return {"name": info.dbname, "host": info.host, "port": info.port, "server_version": version}


def place(one: Migrator) -> str:
    """The same, as the first line of a report."""
    return "database {name} at {host}:{port} (PostgreSQL {server_version})".format(**address(one))


@contextmanager
def migrator(
    *,
    database: str | None,
    migrations: tuple[str, ...],
    quiet: bool,
    verbose: bool,
    wait: float | None = None,
    **options: Any,
) -> Iterator[Migrator]:
    """A migrator on an open connection. Imports stand inside: `--help` and `new` need none of them."""
    import psycopg  # noqa: PLC0415

    from pgyoyo import connection, diagnosis, migration  # noqa: PLC0415
    from pgyoyo.migrator import Migrator  # noqa: PLC0415
    from pgyoyo.report import Report  # noqa: PLC0415

    found = load(database=database, migrations=migrations)
    # The files first: a defect in them is said without starting or asking a server.
    folders = migration.read(found.migrations)
    with connection.connect(target(found), wait=wait or 0.0) as conn:
        report = Report(quiet, verbose)
        try:
            yield Migrator(conn, folders, report, wait=60.0 if wait is None else wait, **options)
        except psycopg.Error as error:
            raise PgyoyoError(f"{diagnosis.server_words(error)}\n`pgyoyo status` shows what stands.") from None


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
