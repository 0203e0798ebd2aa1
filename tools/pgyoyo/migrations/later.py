"""Which pending migrations can be applied before the backfills among them, and which have to wait for those."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pgyoyo import sql
from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import Migration

# Where the parse tree has the names of what a statement changes or creates: tables, lists of words, words.
_TABLES = ("relation", "view", "sequence", "rel", "typevar")
_LISTS = ("funcname", "type_name", "domainname", "defnames")
_WORDS = ("newname", "idxname", "schemaname", "extname", "servername")
# The kinds of statement that create something whose name others use: besides those that begin with Create, and without
# those that have the name of a table that is there.
_CREATING = ("ViewStmt", "CompositeTypeStmt", "DefineStmt")
_ON_A_TABLE = ("CreateTrigStmt", "CreatePolicyStmt", "CreateStatsStmt", "CreatePublicationStmt")


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
    name = names_any(migration, names)
    return f"names {name}, which {names[name]} changes" if name else ""


def _changed(migration: Migration) -> set[str]:
    """The tables that a migration writes to or alters, and the names of what it creates."""
    return {name for node in _nodes(migration) for name in _names(node)} - {""}


def made(migration: Migration) -> set[str]:
    """The names of what a migration creates, and the new names that it gives.

    A name that it takes from one thing and gives to the next was there before: the swap of two columns makes none.
    """
    names: set[str] = set()
    taken: set[str] = set()
    for node in _nodes(migration):
        kind = sql.tree.kind(node)
        if kind == "RenameStmt":
            taken.add(node.subname or node.relation.relname)
            names |= {node.newname} - taken
        elif kind == "IndexStmt":
            names.add(node.idxname)
        elif kind in _CREATING or (kind.startswith("Create") and kind not in _ON_A_TABLE):
            names |= _names(node)
    return names - {""}


def names_any(migration: Migration, names: Iterable[str]) -> str | None:
    """The first of the names that stands in the text of a migration's file as a word, in any case."""
    text = migration.apply.data.decode(errors="replace")
    return next((n for n in names if re.search(rf"(?i)(?<![\w$]){re.escape(n)}(?![\w$])", text)), None)


def _nodes(migration: Migration) -> Iterator[sql.tree.Node]:
    script = sql.parser.parse(migration.apply.data, transactional=migration.apply.header.transactional)
    for statement in script.statements:
        node = sql.tree.parse(script.text(statement).decode(errors="replace"))
        if node is not None:
            yield node


def _names(node: sql.tree.Node) -> set[str]:
    names: set[str] = set()
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
    return names
