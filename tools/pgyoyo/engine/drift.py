"""What differs between the files and what was applied, before anything runs."""

from collections.abc import Sequence
from shlex import quote

from psycopg import Connection

from pgyoyo import engine
from pgyoyo.engine import ledger
from pgyoyo.errors import DriftError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Status
from pgyoyo.units import several

# Texts are compared up to so many characters, for so many missing files, and are alike from this share of them on.
_SHORT = 20_000
_LOOKED_AT = 10
_ALIKE = 0.8


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
    name = quote(edited[0].id)
    advice = (
        f"Restore the file, or write a new migration. While you are still writing it, `pgyoyo redo {name}` rolls it back and "
        f"applies it again; `pgyoyo repair {name}` accepts the change as it is."
    )
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


def likely_renamed(conn: Connection, status: Status, chosen: Sequence[Migration]) -> list[str]:
    """Warnings of files that nearly are what was applied under the id of a missing one: renamed, and changed a little."""
    known = {row.hash for row, _ in status.renamed}
    rows = [row for row in status.missing if row.checksum and row.hash not in known][:_LOOKED_AT]
    if not rows or not chosen or status.schema is None:
        return []
    from difflib import SequenceMatcher  # only where a file is gone, which few runs see

    warnings = []
    left = [m for m in chosen if len(m.apply.data) <= _SHORT and not m.apply.empty]
    for row in rows:
        text, _ = ledger.texts(conn, status.schema, row.hash) or (None, None)
        if not text or len(text) > _SHORT:
            continue
        matcher = SequenceMatcher(None, "", text, autojunk=False)
        best, ratio = None, _ALIKE
        for migration in left:
            matcher.set_seq1(migration.apply.data.decode("utf-8-sig"))
            if matcher.quick_ratio() > ratio and matcher.ratio() > ratio:
                best, ratio = migration, matcher.ratio()
        if best:
            left.remove(best)
            warnings.append(
                f"{best.id} is nearly what was applied as {row.id}, which has no file here; if it is the same one, rename "
                f"it in the ledger before it runs: pgyoyo rename {quote(row.id)} {quote(best.id)}"
            )
    return warnings


def _diff(stored: str | None, file: File | None) -> list[str]:
    if stored is None and file is None:
        return []
    before = (stored or "").removeprefix("\ufeff")
    after = file.data.decode("utf-8-sig") if file else ""
    name = str(file.path) if file else "(the rollback file, now gone)"
    return engine.difference.difference(before, after, ("as applied", name))
