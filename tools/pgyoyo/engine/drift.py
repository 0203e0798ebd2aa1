"""What must be right before anything runs: files as they were applied, in order, and fit to be sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pgyoyo.engine import ledger
from pgyoyo.errors import Defect, DefectsError, DriftError, UsageError
from pgyoyo.units import several

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.engine.ledger import Ledger
    from pgyoyo.migrations.migration import File, Migration
    from pgyoyo.migrations.plan import Comparison

_SHARED = re.compile(
    r"(?i)\b(?:create|alter|drop)\s+(?:role|user(?!\s+mapping)|group|tablespace|database(?!\s+%)|system)\b"
)


def edits(conn: Connection, found: Ledger, edited: Sequence[Migration]) -> None:
    """Raises DriftError, with a unified diff, for files that were edited after they were applied."""
    if not edited:
        return
    assert found.schema
    parts = []
    for migration in edited:
        texts = ledger.execute(conn, "texts", found.schema, {"hash": migration.hash})[0]
        lines = [f"{migration.id} was changed after it was applied"]
        for text, file in zip(texts, (migration.apply, migration.rollback), strict=True):
            lines += _diff(text, file)
        parts.append("\n".join(lines))
    advice = f"Restore the file, or write a new migration; `pgyoyo repair {edited[0].id}` accepts the change as it is."
    raise DriftError("\n".join([*parts, advice]))


def order(comparison: Comparison, *, strict: bool) -> list[str]:
    """Warnings of pending migrations that are out of order, and of applied ones without a file.

    Raises DriftError for them where it is to be strict.
    """
    warnings = []
    for names, one, several_words, advice in (
        ([m.id for m in comparison.late], "sorts before migrations that are applied already",
         "sort before migrations that are applied already", "give a later number, or leave --strict out"),
        ([row.id for row in comparison.missing], "is applied, but has no file here",
         "are applied, but have no file here", "restore the file, or roll back"),
    ):  # fmt: skip
        if not names:
            continue
        words = f"{several(names)} {one if len(names) == 1 else several_words}"
        if strict:
            raise DriftError(f"{words}; {advice}")
        warnings.append(words)
    return warnings


def scripts(migrations: Iterable[Migration]) -> None:
    """Raises DefectsError with what PostgreSQL's parser finds in both files of each migration."""
    files = (file for one in migrations for file in (one.apply, one.rollback) if file)
    found = [defect for file in files for defect in defects(file)]
    if found:
        raise DefectsError(found)


def shared(migrations: Iterable[Migration]) -> None:
    """Raises UsageError for statements that reach beyond one database, which a scratch database can't keep in."""
    found = [place for one in migrations for place in beyond(one)]
    if found:
        raise UsageError(
            "\n".join(found) + "\nThat changes what all databases of a server share; run this on a server that has no "
            "others: --scratch URL"
        )


def beyond(one: Migration) -> list[str]:
    """The statements of a migration that reach beyond one database, each with its place."""
    from pgyoyo.sql import parser  # noqa: PLC0415 - as in defects

    found = []
    for file in filter(None, (one.apply, one.rollback)):
        script = parser.parse(file.data)
        for statement in script.statements:
            text = script.text(statement).decode() if statement.name.startswith("DO") else statement.name
            if match := _SHARED.search(text):
                found.append(f"{file.path}:{script.line(statement.start)}: {match[0].upper()}")
    return found


def rollbacks(going: Iterable[Migration]) -> None:
    """Raises RollbackRefusedError where there is nothing to roll back with, DefectsError for what can't be sent."""
    found = [defect for migration in going for defect in defects(migration.require_rollback())]
    if found:
        raise DefectsError(found)


def single(chosen: Iterable[Migration], way: str) -> list[str]:
    """Warnings of backfills, which have no batches in a single transaction.

    Raises UsageError for a file that can't be part of one transaction.
    """
    warnings = []
    for one in chosen:
        file = one.apply if way == "apply" else one.rollback
        if file and not file.header.transactional:
            raise UsageError(
                f"{file.path} runs outside of transactions, so it can't be part of a single one; "
                "run up to the migration before it with --single-transaction, then it alone"
            )
        if file and file.header.backfill:
            warnings.append(
                f"{file.path}: its UPDATE runs as it stands, not in batches, and locks its rows until the end of the single "
                "transaction"
            )
    return warnings


def defects(file: File) -> Iterator[Defect]:
    """What in a file can't be sent as its header wants it."""
    from pgyoyo.sql.script import is_plain  # noqa: PLC0415 - for runs that have something to run

    if not file.header.backfill and is_plain(file.data):
        return
    from pgyoyo.sql import parser, update  # noqa: PLC0415 - the parser's import is for files that need it

    script = parser.parse(file.data)
    for line, words in parser.defects(script, transactional=file.header.transactional):
        yield Defect(file.path, line, words)
    if file.header.backfill:
        if not file.header.transactional:
            yield Defect(file.path, 1, '"transactional: false" and "backfill: batched" say different things; keep one')
        try:
            update.parse_update(script)
        except update.RefusedError as no:
            yield Defect(file.path, no.line, no.reason)


def _diff(stored: str | None, file: File | None) -> list[str]:
    from difflib import unified_diff  # noqa: PLC0415 - for files that were edited

    if stored is None and file is None:
        return []
    before = (stored or "").removeprefix("\ufeff").splitlines()
    after = (file.data.decode("utf-8-sig") if file else "").splitlines()
    name = str(file.path) if file else "(the rollback file, now gone)"
    return list(unified_diff(before, after, "as applied", name, lineterm=""))
