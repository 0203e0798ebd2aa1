"""What differs between the files and what was applied, before anything runs."""

from collections.abc import Sequence

from psycopg import Connection

from pgyoyo.engine import ledger
from pgyoyo.errors import DriftError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Status
from pgyoyo.units import several


def refuse_edits(conn: Connection, status: Status, edited: Sequence[Migration]) -> None:
    """Raises DriftError, with a unified diff, for files that were edited after they were applied."""
    if not edited:
        return
    assert status.schema
    parts = []
    for migration in edited:
        texts = ledger.texts(conn, status.schema, migration.hash) or (None, None)
        lines = [f"{migration.id} was changed after it was applied"]
        for text, file in zip(texts, (migration.apply, migration.rollback), strict=True):
            lines += _diff(text, file)
        parts.append("\n".join(lines))
    advice = f"Restore the file, or write a new migration; `pgyoyo repair {edited[0].id}` accepts the change as it is."
    raise DriftError("\n".join([*parts, advice]))


def out_of_order(status: Status, *, strict: bool) -> list[str]:
    """Warnings of pending migrations that are out of order, and of applied ones without a file.

    Raises DriftError for them where it is to be strict.
    """
    warnings = []
    for names, singular, plural, advice in (
        ([m.id for m in status.out_of_order], "is numbered before an already applied migration",
         "are numbered before an already applied migration", "give a later number, or leave --strict out"),
        ([row.id for row in status.missing], "is applied, but has no file here",
         "are applied, but have no file here", "restore the file, or roll back"),
    ):  # fmt: skip
        if not names:
            continue
        words = f"{several(names)} {singular if len(names) == 1 else plural}"
        if strict:
            raise DriftError(f"{words}; {advice}")
        warnings.append(words)
    return warnings


def _diff(stored: str | None, file: File | None) -> list[str]:
    from difflib import unified_diff  # only an edited file needs it

    if stored is None and file is None:
        return []
    before = (stored or "").removeprefix("\ufeff").splitlines()
    after = (file.data.decode("utf-8-sig") if file else "").splitlines()
    name = str(file.path) if file else "(the rollback file, now gone)"
    return list(unified_diff(before, after, "as applied", name, lineterm=""))
