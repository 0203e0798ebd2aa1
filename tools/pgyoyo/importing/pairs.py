"""Imported migrations as our pairs of files: texts with a header that says where they come from."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pgyoyo.errors import Defect
from pgyoyo.importing.source import DATABASE, Imported, Origin, Project, Section
from pgyoyo.migrations import checks
from pgyoyo.migrations.migration import NO_OP, ROLLBACK, File, checksum_of
from pgyoyo.migrations.names import number as number_of
from pgyoyo.sql import header, parser, tree
from pgyoyo.sql.lexer import has_statement, leading_comments_end
from pgyoyo.text import printable_line

_SPLIT = "\n--\n-- Its BEGIN and COMMIT were left out: each statement is committed by itself."
_NOTHING = "SELECT 'nothing to do' AS note;\n"


def files(project: Project) -> dict[str, str]:
    """The files to be written, by name."""
    made: dict[str, str] = {}
    before = dict(zip([m.id for m in project.migrations[1:]], [m.id for m in project.migrations], strict=False))
    for migration in (*project.migrations, *project.hooks):
        apply = migration.apply
        if apply.empty:
            apply = Section(f"{apply.text.rstrip()}\n{_NOTHING}".lstrip("\n"))
        origin = printable_line(str(Origin(project.tool, migration.name)))
        title = f"{_sentence(migration.id)}.\n--\n-- {origin}"
        earlier = before.get(migration.id)
        if earlier and number_of(earlier) == number_of(migration.id) is not None:  # 1.0 and 1.1 are no branches
            title += f"\n--\n-- depends: {earlier}"
        made[f"{migration.id}.sql"] = _text(f"{migration.id}.sql", title, apply)
        if migration not in project.hooks:
            made[migration.id + ROLLBACK] = _rollback(project.tool, migration)
    return made


def defects(texts: Mapping[str, str], folder: Path) -> Iterator[Defect]:
    """What in the files, written to a folder, can't run as it stands."""
    for name, text in texts.items():
        yield from checks.defects(_file(str(folder / name), text.encode()))


def _rollback(tool: str, migration: Imported) -> str:
    name, title = migration.id + ROLLBACK, f"Undo {migration.id}."
    if migration.rollback is None or migration.rollback.empty:
        if not migration.without_way_back:
            return f"-- {title}\n\n{NO_OP}\n"
        reason = "the schema that the database had before its first migration" if tool == DATABASE else ""
        return f"-- {title}\n--\n-- irreversible: {reason or f'{tool} had nothing to undo it with'}\n"
    return _text(name, title, migration.rollback)


def _sentence(migration_id: str) -> str:
    words = re.sub(r"^(?:post-apply_|[0-9.-]+[_-])+", "", migration_id) or migration_id
    words = re.sub(r"[_-]+", " ", words).strip()
    return words[:1].upper() + words[1:]


def _text(name: str, title: str, section: Section) -> str:
    """The file, outside a transaction where the section is, or can't run inside of one."""
    body = section.text.strip("\r\n") + "\n"
    text = _composed(title, body, transactional=section.transactional)
    if not _refused(name, text) and not (section.transactional and _commits(body)):
        return text
    plain = _without_blocks(body)
    ways = (_composed(title, body, transactional=False), _composed(title + _SPLIT, plain, transactional=False))
    return next((way for way in ways if not _refused(name, way)), text)


def _composed(title: str, body: str, *, transactional: bool) -> str:
    declared = "" if transactional else "--\n-- transactional: false\n"
    return _without_directives(f"-- {title}\n{declared}\n", body)


def _refused(name: str, text: str) -> bool:
    return any(checks.defects(_file(name, text.encode())))


def _commits(body: str) -> bool:
    """Whether a DO block ends transactions, as it may where the tool sends it alone."""
    script = parser.parse(body.encode())
    return any(
        kind in ("PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback")
        for statement in script.statements if statement.name.startswith("DO")
        for kind, _ in tree.body_parts(tree.parse_body(script.text(statement).decode()))
    )  # fmt: skip


def _without_blocks(body: str) -> str:
    """The text without its BEGIN and COMMIT."""
    data = body.encode()
    script = parser.parse(data)
    kept = bytearray(data)
    for statement in (*script.statements, *(script.wrapper or ())):
        if statement.kind in ("begin", "commit"):
            end = data.find(b";", statement.end) + 1 or len(data)
            kept[statement.start : end] = b" " * (end - statement.start)
    return re.sub(r"\n(?:[ \t]*\r?\n)+", "\n\n", kept.decode()).strip() + "\n"


def _without_directives(head: str, body: str) -> str:
    """The file, where a comment of the tool's is not taken for a directive of ours."""
    end = leading_comments_end(body.encode())
    comments, rest = body.encode()[:end].decode(), body.encode()[end:].decode()
    names = "|".join(header.KNOWN)
    comments = re.sub(rf"(?mi)^([ \t]*--)[ \t]*((?:{names})[ \t]*:)", r"\1 | \2", comments)
    lines = comments.splitlines(keepends=True)
    _, faults = header.parse(comments, rollback=False)
    for number, _ in faults:
        lines[number - 1] = re.sub(r"^([ \t]*--)[ \t]*", r"\1 | ", lines[number - 1])
    return head + "".join(lines) + rest


def _file(name: str, data: bytes) -> File:
    end = leading_comments_end(data)
    head, _ = header.parse(data[:end].decode(), rollback=name.endswith(ROLLBACK))
    return File(name, data, head, checksum_of(data), empty=not has_statement(data, end))
