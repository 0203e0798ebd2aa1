"""Ready-made tests of a project's migrations: `from pgyoyo.pytest_checks import *` in a test file collects them all."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest

from pgyoyo.errors import PgyoyoError
from pgyoyo.migrations import checks, plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.migrations.names import number
from pgyoyo.prove import proof as proofs
from pgyoyo.prove.proof import Proof
from pgyoyo.schema import files

__all__ = [
    "test_history_has_one_head",
    "test_names_headers_and_statements_are_clean",
    "test_snapshot_is_what_the_migrations_give",
    "test_up_down_up_restores_the_catalog",
]


def test_names_headers_and_statements_are_clean(pgyoyo_migrations: Folders) -> None:
    """`pgyoyo apply` would refuse none of the files."""
    files = [f for m in (*pgyoyo_migrations.migrations, *pgyoyo_migrations.hooks) for f in (m.apply, m.rollback) if f]
    _none([str(defect) for file in files for defect in checks.defects(file)])


def test_history_has_one_head(pgyoyo_migrations: Folders) -> None:
    """Migrations from two branches have been put in order."""
    _none(list(_forks(plan.order(pgyoyo_migrations.migrations))))


def test_up_down_up_restores_the_catalog(migration_id: str, pgyoyo_proof: Callable[[str], Proof]) -> None:
    """The rollback restores the catalog and the rows, except for what its header declares lost."""
    proof = pgyoyo_proof(migration_id)
    _none(proofs.proof_lines(proof) if proof.failures else [])


def test_snapshot_is_what_the_migrations_give(pgyoyo_rehearsed: Folders, pgyoyo_server: str) -> None:
    """schema.sql and schema.md are those that `pgyoyo schema` would write; passes where a project has neither."""
    folder = files.beside(pgyoyo_rehearsed)
    try:
        if any((folder / name).exists() for name in ("schema.sql", "schema.md")):
            files.check(files.build(pgyoyo_rehearsed, pgyoyo_server, folder))
    except PgyoyoError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _none(lines: Sequence[str]) -> None:
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def _forks(order: Sequence[Migration]) -> Iterator[str]:
    """Where only the names of two migrations decide which comes first."""
    heads = plan.heads(order)
    for before, migration in pairwise(order):
        if not migration.depends and number(before.id) == number(migration.id) is not None:
            heads = [name for name in heads if name != before.id]
            yield (
                f"{before.id} and {migration.id} have the same number, and neither says which comes first; "
                f"give {migration.id} the next number, or write -- depends: {before.id} in it"
            )
    if len(heads) > 1:
        yield f"nothing depends on {' nor on '.join(heads)}; write -- depends: {heads[-2]} in {heads[-1]}, or the reverse"
