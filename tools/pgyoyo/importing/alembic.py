"""Alembic: the SQL that `alembic upgrade head --sql` writes, and `alembic downgrade head:base --sql` beside it."""

import re
from collections.abc import Sequence
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, files_of, text_of
from pgyoyo.sql import parser
from pgyoyo.sql.script import Statement

FOLDERS = ("upgrade.sql", "alembic.sql", ".")
_MARK = re.compile(r"(?m)^-- Running (upgrade|downgrade) (.*?)[ \t]*->[ \t]*(.*?)[ \t]*\r?$\n?")
_TABLE = re.compile(r"""(?i)CREATE TABLE (?:"?\w+"?\.)?"?(\w+)"? \(\s*"?version_num"? """)
_ADVICE = (
    "write it with `alembic upgrade head --sql > upgrade.sql`, and `alembic downgrade head:base --sql > downgrade.sql` for "
    "the way back"
)


def read(folder: Path) -> Project:
    """The revisions in a file of that output, or in the .sql files of a folder; raises UsageError where there are none."""
    beside = folder.parent / folder.name.replace("upgrade", "downgrade")
    if folder.is_dir():
        paths = [path for path in files_of(folder) if path.suffix == ".sql"]
    else:
        paths = [folder, *([beside] if beside != folder and beside.is_file() else [])]
    texts = [text for path in paths if _MARK.search(text := text_of(path))]
    table = next((match[1] for text in texts if (match := _TABLE.search(text))), "alembic_version")
    ups: dict[str, tuple[str, Section]] = {}
    downs: dict[str, Section] = {}
    for text in texts:
        for way, before, after, section in _sections(text, table):
            if way == "upgrade":
                ups[after] = (before, section)
            else:
                downs[before] = section
    if not ups:
        raise UsageError(f'{folder} has no line "-- Running upgrade"; {_ADVICE}')
    scripts = [path.stem for path in sorted(folder.absolute().parent.glob("*/versions/*.py"))]
    # A head of several parents is written as "a, b"; the way back of a merge names them so, too.
    migrations = (
        Imported(f"{number:04d}_{_slug(after, scripts)}", f"{before} -> {after}".strip(), section, downs.get(after))
        for number, (after, (before, section)) in enumerate(ups.items(), start=1)
    )
    warnings = () if downs else (f"no downgrade was given, so nothing can be rolled back; {_ADVICE}",)
    return Project("alembic", tuple(migrations), warnings=warnings)


def parents(name: str) -> tuple[str, list[str]]:
    """The revision of an imported migration, and those that it follows."""
    before, _, after = name.rpartition("->")
    return after.strip(), [parent.strip() for parent in before.split(",") if parent.strip()]


def _slug(revision: str, scripts: Sequence[str]) -> str:
    """The revision with the words of its script's name, where that is beside the output."""
    name = next((script for script in scripts if re.search(rf"(?:^|_){re.escape(revision)}_", script)), revision)
    return re.sub(r"[^\w.-]+", "_", name)


def _sections(text: str, table: str) -> list[tuple[str, str, str, Section]]:
    marks = list(_MARK.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    is_open = bool(re.search(r"(?m)^BEGIN;", text[: marks[0].start()])) if marks else False
    has_transactions = bool(re.search(r"(?m)^BEGIN;", text))
    sections = []
    for mark, end in zip(marks, ends, strict=True):
        section, is_open = _section(text[mark.end() : end], table, is_open=is_open or not has_transactions)
        sections.append((mark[1], mark[2], mark[3], section))
    return sections


def _section(text: str, table: str, *, is_open: bool) -> tuple[Section, bool]:
    """The statements of a revision without those of Alembic's own, and whether a transaction is open behind them."""
    data = text.encode()
    script = parser.parse(data)
    own = re.compile(
        rf'(?is)(?:INSERT INTO|UPDATE|DELETE FROM|DROP TABLE|CREATE TABLE) (?:"?\w+"?\.)?"?{re.escape(table)}"?\b'
    )
    statements = sorted((*script.statements, *(script.wrapper or ()), *script.modes), key=lambda part: part.start)
    control = [part for part in statements if part.kind in ("begin", "commit")]
    mine = [part for part in statements if own.match(data[part.start : part.end].decode(errors="replace"))]
    begun_open, transactional = is_open, True
    for statement in statements:
        if statement in control:
            is_open = statement.kind == "begin"
        elif statement not in mine:
            transactional = transactional and is_open
    kept = bytearray(data)
    for statement in (*mine, *(control if transactional else ())):
        _blank(kept, statement)
    text = kept.decode()
    if not transactional:
        # What ran in a transaction keeps one of its own.
        text = ("BEGIN;\n" if begun_open else "") + text + ("\nCOMMIT;\n" if is_open else "")
        text = re.sub(r"(?m)^BEGIN;\s*^COMMIT;[ \t]*$", "", text)
    return Section(re.sub(r"\n(?:[ \t]*\r?\n)+", "\n\n", text).strip() + "\n", transactional), is_open


def _blank(data: bytearray, statement: Statement) -> None:
    """Put blanks in the place of a statement and its semicolon."""
    end = data.find(b";", statement.end)
    end = statement.end if end < 0 else end + 1
    data[statement.start : end] = re.sub(rb"[^\n]", b" ", bytes(data[statement.start : end]))
