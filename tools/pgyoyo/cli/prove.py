"""pgyoyo prove."""

import sys
from typing import Any

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import scratch_target, target_defaults
from pgyoyo.cli.options import examples, format_option, migrations_option, quiet_option, scratch_option
from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.prove import parallel, prover
from pgyoyo.prove.proof import proof_json, proof_lines, proof_summary
from pgyoyo.scratch import databases


@click.command(epilog=examples("pgyoyo prove", "pgyoyo prove 0007 --format json", "pgyoyo prove --from 0007"))
@migrations_option
@scratch_option
@click.option("--from", "start", metavar="ID", help="First migration to prove; those before it are only applied.")
@click.option("--chain", is_flag=True, help="Accept rollbacks that restore the catalog only together.")
@format_option
@quiet_option
@click.argument("ids", nargs=-1, metavar="[ID]...")
def prove(layout: str, migrations: tuple[str, ...], scratch: str | None, quiet: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Apply, roll back and reapply migrations, and compare.

    On a scratch database, each migration is applied, rolled back and applied again. After the rollback the catalog and the
    rows must be exactly what they were before. Exits with 1 if they are not.
    """
    config = load(migrations=migrations)
    folders = reader.read(config.migrations)
    prover.selected(folders, options["ids"], options["start"])  # a wrong ID is refused before a server is started
    console = Console(quiet)
    proofs = []
    server = scratch_target(config, scratch)
    defaults = target_defaults(config, folders, console)
    with databases.server(server, console.note) as admin:
        for proof in parallel.prove(admin, folders, console, alone=scratch is not None, defaults=defaults, **options):
            proofs.append(proof)
            if layout == "text":
                console.lines(proof_lines(proof), keep=bool(proof.failures), green="proved")
    if layout == "json":
        console.data(proof_json(proofs))
    else:
        console.answer(proof_summary(proofs))
    if any(proof.failures for proof in proofs):
        sys.exit(1)
