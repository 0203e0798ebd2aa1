"""Files that yoyo would run for what they are not: rollbacks under other names, migrations of other tools.

To run such a file forwards drops what it was written to drop, so each is refused with what to do.
"""

import re
from collections.abc import Iterable, Set
from pathlib import Path

from pgyoyo.errors import closest
from pgyoyo.migrations.migration import ROLLBACK
from pgyoyo.sql.lexer import has_statement, mentioned

# The last word of a name that undoes, and what its other half may end with.
_UNDOING = frozenset(("down", "undo", "revert", "rollback", "backward", "backwards", "downgrade"))
_DOING = ("", "up", "do", "deploy", "apply", "forward", "forwards", "upgrade")
_LAST_WORD = re.compile(r"(?P<front>.*?)(?P<mark>[._-])(?P<word>[A-Za-z]+)")
_IMPORT = "; `pgyoyo import {0} FOLDER` writes both files for each of them"
_SPLIT = "; write what is to be undone into a file of its own, NAME.rollback.sql"
# Comments that divide a file of another tool: bytes that must be there in some case, the comment, the words about it.
_MARKS = tuple(
    (sign, re.compile(rb"(?im)^[ \t]*" + pattern), words)
    for sign, pattern, words in (
        (b"migrate:", rb"--[ \t]*migrate:(?:up|down)\b", f"dbmate's{_IMPORT.format('dbmate')}"),
        (b"+goose", rb"--[ \t]*\+goose\b", f"goose's{_IMPORT.format('goose')}"),
        (b"+migrate", rb"--[ \t]*\+migrate\b", f"sql-migrate's{_SPLIT}"),
        (b"+micrate", rb"--[ \t]*\+micrate\b", f"micrate's{_SPLIT}"),
        (b"@undo", rb"--[ \t]*//[ \t]*@undo\b", f"MyBatis Migrations'{_SPLIT}"),
        (b"!downs", rb"(?:--|#)[ \t]*-*[ \t]*!downs\b", f"Play's evolutions{_SPLIT}"),
        (b"rambler", rb"--[ \t]*rambler[ \t]+(?:up|down)\b", f"rambler's{_SPLIT}"),
        (b"drop below", rb"-+[ \t]*create above[ \t]*/[ \t]*drop below", f"tern's{_SPLIT}"),
        (b"liquibase", rb"--[ \t]*liquibase[ \t]+formatted[ \t]+sql\b", f"Liquibase's{_SPLIT}"),
        (b"== down", rb"--[ \t]*=+[ \t]*down[ \t]*=", f"shmig's{_SPLIT}"),
    )
)
# Where statements follow, and the file is for the other direction: else it is a comment in plain words.
_OTHER_HALF = {
    is_rollback: re.compile(
        rb"(?im)^[ \t]*--[ \t]*%b[ \t]+migration\b(?=[^\n]*\n(?:[ \t\r]*(?:--[^\n]*)?\n)*[ \t\r]*[^\s-])" % word
    )
    for is_rollback, word in ((False, b"down"), (True, b"up"))
}
# A comment of a single word behind which a file would undo itself; not within a body, which is indented.
_UNDOES = re.compile(
    rb"(?im)^--[ \t@=*#+-]*(?:%b)[ \t:=*#-]*\r?\n\s*(?<=\n)(?:alter|create|delete|drop|insert|revoke|truncate|update)\b"
    % "|".join(sorted(_UNDOING)).encode()
)
# What says to another tool that a file runs outside a transaction: sqlx, postgres-migrations, Atlas.
_ALONE = re.compile(
    rb"(?im)^--[ \t]*(?:no-transaction|postgres-migrations[ \t]+disable-transaction|atlas:txmode[ \t]+none)[ \t]*\r?$"
)
_UNDOING_WORDS = tuple(word.encode() for word in ("backward", "down", "revert", "rollback", "undo"))
_FLYWAY = re.compile(r"(?:[VUB][0-9]+(?:[._][0-9]+)*|R)__.+\.sql")
_SQITCH = frozenset(("deploy", "revert", "verify"))
_OF_PYTHON = (
    (b"alembic", re.compile(rb"(?m)^(?:from|import)[ \t]+alembic\b"), f"an Alembic migration{_IMPORT.format('alembic')}"),
    (b"django", re.compile(rb"(?m)^from[ \t]+django\.db[ \t]+import\b.*\bmigrations\b"),
     f"a Django migration{_IMPORT.format('django')}"),
)  # fmt: skip


def undone(stem: str) -> str | None:
    """The migration that a file NAME.sql was to roll back, where NAME nearly ends with .rollback; None for any other."""
    front, dot, behind = stem.rstrip(" .").rpartition(".")
    near = dot and closest(re.sub(r"[\s_-]", "", behind.lower()), ["rollback"], cutoff=0.8)
    return front if near else None


def misnamed(name: str, names: Set[str]) -> str | None:
    """What is wrong with the name of a .sql file that undoes something, but is not NAME.rollback.sql; None for any other.

    `names` are all those in its folder.
    """
    stem = name.removesuffix(".sql")
    if _FLYWAY.fullmatch(name) and not any(sibling.endswith((ROLLBACK, ".py")) for sibling in names):
        both = _IMPORT.format("flyway FOLDER`, or `pgyoyo import refinery")
        return f"is one of Flyway's or refinery's names, which yoyo sorts as text and runs forwards, U and R too{both}"
    if stem.lower() in _UNDOING:
        return f"yoyo would run it forwards, and it says that it undoes; name it after its migration: NAME{ROLLBACK}"
    if front := undone(stem):
        return f'yoyo would run it forwards, since it does not end with "{ROLLBACK}"; rename it to {front}{ROLLBACK}'
    parts = _LAST_WORD.fullmatch(stem.rstrip(" ."))
    if parts is None:
        return None
    word, mark = parts["word"].lower(), parts["mark"]
    others = [f"{parts['front']}{mark}{doing}.sql" if doing else f"{parts['front']}.sql" for doing in _DOING]
    counterpart = next((counterpart for counterpart in others if counterpart in names), None)
    right = f"{(counterpart or others[0]).removesuffix('.sql')}{ROLLBACK}"
    if mark == "." and word == "down" and counterpart and counterpart.endswith(".up.sql"):
        return (
            f"is one of golang-migrate's or sqlx's, and yoyo would run it forwards, before {counterpart}"
            + _IMPORT.format("golang-migrate FOLDER`, or `pgyoyo import sqlx")
        )
    if word in _UNDOING and (mark == "." or counterpart):
        return f"yoyo would run it forwards; if it undoes {counterpart or others[0]}, rename it to {right}"
    return None


def marked(name: str, data: bytes) -> tuple[int, str] | None:
    """The line that says that a file is another tool's, and what to do; None for yoyo's own."""
    other_half = (
        b"migration",
        _OTHER_HALF[name.endswith(ROLLBACK)],
        f"node-pg-migrate's{_IMPORT.format('node-pg-migrate')}",
    )
    marks = _OF_PYTHON if name.endswith(".py") else (*_MARKS, other_half)
    there = mentioned(data, [sign for sign, _, _ in marks])
    for sign, pattern, words in marks if there else ():
        if sign in there and (match := pattern.search(data)):
            shown = "" if name.endswith(".py") else f'"{match[0].decode(errors="replace").strip()}" '
            return data.count(b"\n", 0, match.start()) + 1, f"{shown}is {words}"
    if name.endswith(".sql") and not name.endswith(ROLLBACK) and mentioned(data, _UNDOING_WORDS):
        for match in _UNDOES.finditer(data):
            if has_statement(data[: match.start()]):
                mark = match[0].partition(b"\n")[0].decode(errors="replace").strip()
                line = data.count(b"\n", 0, match.start()) + 1
                return line, f'"{mark}" divides nothing, and all of the file would be run{_SPLIT}'
    return None


def meant_alone(head: bytes) -> tuple[int, str] | None:
    """The line, and its text, by which another tool runs a file that begins so outside a transaction."""
    match = _ALONE.search(head)
    return (head.count(b"\n", 0, match.start()) + 1, match[0].decode().strip()) if match else None


def of_sqitch(folder: Path, names: Set[str]) -> str | None:
    """Whether a folder is one of sqitch's, by its plan there or above it; what to do then. `names` are the files in it."""
    if "sqitch.plan" in names or (folder.name in _SQITCH and (folder.parent / "sqitch.plan").exists()):
        return f"is a folder of sqitch's, whose order is in sqitch.plan{_IMPORT.format('sqitch')}"
    return None


def of_folders(folders: Iterable[Path]) -> str | None:
    """The tool that keeps a folder for each migration, by what is in them."""
    files = {"Prisma": "migration.sql", "Diesel": "up.sql"}
    return next((tool for folder in folders for tool, name in files.items() if (folder / name).is_file()), None)
