"""Which pending migrations can be applied before the backfills among them, and which have to wait for those."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pgyoyo import sql
from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import Migration

# Where the parse tree has the names of what a statement changes or creates: tables, lists of words, words.
_TABLES = ("relation", "view", "sequence", "rel", "typevar")
_LISTS = ("funcname", "type_name", "domainname", "defnames")
_WORDS = ("newname", "idxname", "schemaname", "extname", "servername")


class Held(NamedTuple):
    """A migration that is held back, and why."""

    migration: Migration
    reason: str


def without_backfills(chosen: Sequence[Migration]) -> tuple[list[Migration], list[Held]]:
    """The migrations to apply now, and those that are held back: backfills, and what depends on them.

    A migration depends on one that is held back if its header says so, or if its text has the name of a table that the held
    one changes, or of anything that it creates. What code names in another way can't be seen.
    """
    now: list[Migration] = []
    held: list[Held] = []
    names: dict[str, str] = {}
    for migration in chosen:
        reason = _reason(migration, {entry.migration.id for entry in held}, names)
        if not reason:
            now.append(migration)
            continue
        held.append(Held(migration, reason))
        for name in sorted(_changed(migration)):
            names.setdefault(name, migration.id)
    return now, held


def only_backfills(chosen: Sequence[Migration], ids: Sequence[str]) -> list[Migration]:
    """The backfills among the pending migrations, or those of `ids`; raises UsageError for what else would have to run."""
    pending = {migration.id: migration for migration in chosen}
    going = [m for m in chosen if m.apply.header.backfill and (not ids or m.id in ids)]
    for name in ids:
        if name in pending and not pending[name].apply.header.backfill:
            raise UsageError(f"{name} is no backfill; pgyoyo apply applies it")
    allowed = {migration.id for migration in going}
    for migration in going:
        if needs := [name for name in migration.depends if name in pending and name not in allowed]:
            raise UsageError(
                f"{migration.id} depends on {needs[0]}, which is pending; apply that first: pgyoyo apply --backfills later"
            )
    return going


def _reason(migration: Migration, held: set[str], names: dict[str, str]) -> str:
    if migration.apply.header.backfill:
        return "a backfill"
    if needs := [name for name in migration.depends if name in held]:
        return f"depends on {needs[0]}"
    text = migration.apply.data.decode(errors="replace")
    for name, changer in names.items():
        if re.search(rf"(?i)(?<![\w$]){re.escape(name)}(?![\w$])", text):
            return f"names {name}, which {changer} changes"
    return ""


def _changed(migration: Migration) -> set[str]:
    """The tables that a migration writes to or alters, and the names of what it creates."""
    names: set[str] = set()
    script = sql.parser.parse(migration.apply.data, transactional=migration.apply.header.transactional)
    for statement in script.statements:
        node = sql.tree.parse(script.text(statement).decode(errors="replace"))
        if node is None:
            continue
        for field, value in node.ListFields():
            if field.name in _WORDS:
                names.add(value)
            if field.name in _LISTS and field.is_repeated:
                names.add(sql.tree.unwrap(value[-1]).sval)
            if field.name == "relations":
                names |= {sql.tree.unwrap(item).relname for item in value}
        # Also in a WITH, or in a CREATE SCHEMA.
        for part in sql.tree.walk(node):
            for field, value in part.ListFields():
                if field.name in _TABLES and field.message_type is not None and field.message_type.name == "RangeVar":
                    names.add(value.relname)
    return names - {""}
