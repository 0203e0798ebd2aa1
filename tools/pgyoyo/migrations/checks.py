"""What must be right in the files before anything runs; each check is pure and returns or raises what it finds."""

import re
from collections.abc import Iterable, Iterator

from pgyoyo.errors import Defect, DefectsError, UsageError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.sql.script import is_plain

_SHARED = re.compile(
    r"(?i)\b(?:create|alter|drop)\s+(?:role|user(?!\s+mapping)|group|tablespace|database(?!\s+%)|system)\b"
)


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
    from pgyoyo.sql import parser  # as in defects

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
    if not file.header.backfill and is_plain(file.data):
        return
    from pgyoyo.sql import parser, update  # only files that are not plain need it, and it takes 0.1 s to load

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
