"""What must be right in the files before anything runs; each check is pure and returns or raises what it finds."""

import re
from collections.abc import Iterable, Iterator

from pgyoyo import sql
from pgyoyo.errors import Defect, DefectsError, RollbackRefusedError, UsageError
from pgyoyo.migrations.migration import HOOK, File, Migration
from pgyoyo.sql.lexer import mentioned
from pgyoyo.sql.script import is_plain
from pgyoyo.units import number

_ROLES = r"role|user(?!\s+mapping)|group"
_BEYOND = r"tablespace|database(?!\s+%)|system"
_CLUSTER_WIDE, _BEYOND_ROLES = (
    re.compile(rf"(?i)\b(?:create|alter|drop)\s+(?:{nouns})\b") for nouns in (f"{_ROLES}|{_BEYOND}", _BEYOND)
)
# What the parser says where it comes upon the first word of a statement, which hardly is the wrong word there.
_BEGINS = re.compile(
    r'(?i)near "(?:alter|comment|copy|create|delete|drop|grant|insert|reindex|revoke|select|truncate|update|with)"'
)
_NO_STATEMENT = (
    "it has no statement yet; write it, then run pgyoyo apply again (--allow-empty records it as applied as it is)"
)


def scripts(migrations: Iterable[Migration], *, allow_empty: bool = True) -> None:
    """Raises DefectsError with what PostgreSQL's parser finds in both files of each migration.

    Without `allow_empty`, also with files to apply that hold no statement.
    """
    defective: list[Defect] = []
    for migration in migrations:
        if migration.apply.empty and not migration.apply.blocked and not allow_empty:
            defective.append(Defect(migration.apply.path, 0, _NO_STATEMENT))
        for file in filter(None, (migration.apply, migration.rollback)):
            defective += defects(file)
    if defective:
        raise DefectsError(defective)


def refuse_python(migrations: Iterable[Migration]) -> None:
    """Raises DefectsError for pending migrations with steps that only Python can run, and says what can be done.

    Once such a migration is applied it is history: shown, never run.
    """
    stopping = [(m, Defect(m.apply.path, line, words)) for m in migrations for line, words in m.apply.blocked]
    if stopping:
        name = stopping[0][0].id
        last = stopping[-1][1]
        ways = (
            f"{last.message}\nSo {name} is not applied here. Write it as SQL under the same name (pgyoyo convert does that "
            "where all steps are SQL); or apply it with plain yoyo, which runs Python: yoyo apply --database "
            "postgresql+pgyoyo://…"
        )
        if not name.startswith(HOOK):  # what runs after every apply is in no ledger
            ways += f"; or, where its work is done, record it: pgyoyo mark {name}"
        raise DefectsError([*(defect for _, defect in stopping[:-1]), last._replace(message=ways)])


def left_out(migrations: Iterable[Migration]) -> list[str]:
    """What a scratch database lacks, since only Python can run it: a note for each such migration."""
    return [
        f"{m.apply.path}:{m.apply.blocked[0][0]}: {m.apply.blocked[0][1]}; a scratch database is made without it"
        for m in migrations
        if m.apply.blocked
    ]


def refuse_cluster_wide(migrations: Iterable[Migration], *, but_roles: bool = False) -> None:
    """Raises UsageError for statements that reach beyond one database, which a scratch database can't keep in.

    With `but_roles` not for those about roles, which are undone where the server holds nothing else.
    """
    pattern = _BEYOND_ROLES if but_roles else _CLUSTER_WIDE
    places = [place for migration in migrations for place in cluster_wide_statements(migration, pattern)]
    if places:
        raise UsageError(
            "\n".join(places) + "\nThat changes what all databases of a server share; run this on a server that has no "
            "others: --scratch URL"
        )


def cluster_wide_statements(migration: Migration, pattern: re.Pattern[str] = _CLUSTER_WIDE) -> list[str]:
    """The statements of a migration that reach beyond one database, each with its place."""
    places = []
    for file in filter(None, (migration.apply, migration.rollback)):
        script = sql.parser.parse(file.data)
        for statement in script.statements:
            text = script.text(statement).decode() if statement.name.startswith("DO") else statement.name
            if match := pattern.search(text):
                places.append(f"{file.path}:{file.line(script.line(statement.start))}: {match[0].upper()}")
    return places


def rollbacks(going: Iterable[Migration], *, latest: bool = False) -> None:
    """Raises RollbackRefusedError where there is nothing to roll back with, DefectsError for what can't be sent.

    Either names all of them. `latest`: they are the last ones applied, the last one first; then the first error says how
    far back it goes.
    """
    missing: list[str] = []
    defective: list[Defect] = []
    stuck: str | None = None
    free = 0
    for migration in going:
        try:
            file = migration.require_rollback()
            own = [*defects(file)]
            own += [
                Defect(
                    file.path, line,
                    f"{words}; roll it back with the plain yoyo (yoyo rollback --database postgresql+pgyoyo://…), or undo it "
                    f"by hand and run `pgyoyo unmark {migration.id}`",
                )
                for line, words in file.blocked
            ]  # fmt: skip
            defective += own
        except RollbackRefusedError as error:
            own = []
            missing.append(str(error))
        if own or missing:
            stuck = stuck or migration.id
        free += stuck is None
    if missing:
        lines = [*missing, *map(str, sorted(defective))]
        if len(missing) > 1:
            lines.append(f"{len(missing)} migrations can't be rolled back; nothing was rolled back.")
        if latest and free:
            lines.append(
                f"pgyoyo rollback --to {stuck} rolls back what was applied after it: {number(free, 'migration')}"
            )
        raise RollbackRefusedError("\n".join(lines))
    if defective:
        raise DefectsError(defective)


def single(chosen: Iterable[Migration], way: str) -> list[str]:
    """Warnings of backfills, which have no batches in a single transaction.

    Raises UsageError for a file that can't be part of one transaction.
    """
    warnings = []
    for migration in chosen:
        file = migration.apply if way == "apply" else migration.rollback
        if file and not file.header.transactional:
            raise UsageError(
                f"{file.path} runs outside of transactions, so it can't be part of a single one; "
                "run up to the migration before it with --single-transaction, then it alone"
            )
        if file and file.header.backfill:
            warnings.append(
                f"{file.path}: it runs as it stands, not in batches, and locks its rows until the end of the single "
                "transaction"
            )
    return warnings


def unreadable(file: File) -> Iterator[Defect]:
    """Where PostgreSQL's parser stops in a file; a run leaves that to the server, whose version may be another."""
    if file.blocked or (fault := sql.parser.fault(file.data)) is None:
        return
    offset, words = fault
    start = file.data.rfind(b"\n", 0, offset) + 1
    text = file.data[start:].partition(b"\n")[0]
    slip = sql.slips.hint(text.decode(errors="replace"), len(file.data[start:offset].decode(errors="replace")) + 1)
    line = file.data.count(b"\n", 0, min(offset, len(file.data.rstrip()))) + 1
    if slip:
        words = f"{words}; {slip}"
    elif words.startswith("unterminated"):
        words = f"{words} begins here; close it"
    elif offset and _BEGINS.search(words):
        words += "; is a semicolon missing before it?"
    else:
        words += "; correct the statement"
    yield Defect(file.path, file.line(line), words)


def ending_transactions(file: File) -> Iterator[Defect]:
    """The DO blocks that end transactions in a file that runs in one, where the server refuses that (2D000)."""
    if not file.header.transactional or not mentioned(file.data, (b"commit", b"rollback")):
        return
    script = sql.parser.parse(file.data)
    for statement in script.statements:
        body = sql.tree.parse_body(script.text(statement).decode()) if statement.name.startswith("DO") else []
        words = {kind.removeprefix("PLpgSQL_stmt_") for kind, _ in sql.tree.body_parts(body)} & {"commit", "rollback"}
        if words:
            line = file.line(script.line(statement.start))
            ways = "add the line -- transactional: false to the header, or take it out"
            yield Defect(
                file.path, line, f"this DO block has a {min(words).upper()}, which can't run in a transaction; {ways}"
            )


def defects(file: File) -> Iterator[Defect]:
    """What in a file can't be sent as its header wants it."""
    if not file.header.backfill and is_plain(file.data):
        return
    script = sql.parser.parse(file.data, transactional=file.header.transactional)
    for line, words in sql.parser.defects(script, transactional=file.header.transactional):
        yield Defect(file.path, file.line(line), words)
    if file.header.backfill:
        if not file.header.transactional:
            yield Defect(file.path, 1, '"transactional: false" and "backfill: batched" say different things; keep one')
        try:
            sql.batched_file.statements(script)
        except sql.batched.RefusedError as no:
            yield Defect(file.path, no.line, no.reason)
