"""The schema of a database as rows, and the difference of two."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from difflib import SequenceMatcher
from textwrap import shorten
from typing import Any, NamedTuple

from psycopg import Connection, Cursor
from psycopg.errors import InternalError_
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from pgyoyo.catalog import query
from pgyoyo.text import printable_line

# (kind, identity) -> definition, in the order of catalog.sql, whose header says what they hold.
Snapshot = dict[tuple[str, str], str]
# The same with the OID of the relation, if it belongs to one.
Row = tuple[str, str, str, int | None]


class Part(NamedTuple):
    """What to read: the relations of these OIDs, None for all, and, with `others`, what belongs to no relation."""

    relations: Sequence[int] | None
    others: bool = True


_Choose = Callable[[Cursor[Any]], Part]

# What changes how PostgreSQL prints a definition; but for jit, which takes longer than the query it would speed up.
SETTINGS = {
    "search_path": "",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "jit": "off",
}
# The joins of catalog.sql stand in a good order; looking for a better one takes an eighth of a first snapshot. Of a prepared
# query with parameters the plan is kept.
PLANNING = {
    "join_collapse_limit": "1",
    "from_collapse_limit": "1",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "on",  # until changed.sql turns it off
}
_LEDGER = "_yoyo_migration"

_MOST_MOVED = 6


class Change(NamedTuple):
    """An object that differs between two snapshots; None: it does not exist.

    Its text is a single line if a single fact differs, else a line for the object and, as in a diff, one for each fact.
    """

    kind: str
    identity: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        name = printable_line(f"{self.kind} {self.identity}")
        if self.before is None or self.after is None:
            word, definition = ("added", self.after) if self.before is None else ("removed", self.before)
            return f"{name}: {word}: {shorten(definition, 120, placeholder=' …')}" if definition else f"{name}: {word}"
        if self.kind == "column order":
            return f"{name}: {_moved(self.before.split(', '), self.after.split(', '))}"
        lines = _differing(*(text.split("\n") if text else [] for text in (self.before, self.after)))
        match lines:
            case [("+" | "-" as sign, line)]:
                return f"{name}: {'added' if sign == '+' else 'removed'} {line}"
            case [("-", old), ("+", new)]:
                return f"{name}: {old} → {new}"
        if "".join(self.before.split()) == "".join(self.after.split()):
            return f"{name}: only white space changed"
        return "\n".join([f"{name}: changed", *(f"    {sign} {line}" for sign, line in lines)])


def snapshot(conn: Connection[Any], *, owners: bool = False) -> Snapshot:
    """The schema of the connection's database; with owners, the owner of each object too.

    Writes nothing. An idle connection reads in a READ ONLY transaction of its own; otherwise the query is part of the
    open transaction, whose settings are restored (unless the query fails, and the transaction with it).
    """
    return {(kind, identity): text for kind, identity, text, _ in rows(conn) if owners or kind != "owner"}


def rows(conn: Connection[Any], choose: _Choose = lambda _: Part(None)) -> list[Row]:
    """The rows of catalog.sql, each with the OID of the relation it belongs to, or None; read as by `snapshot`.

    `choose` is called in the same transaction, under SETTINGS, and says what to read; by default all.
    """
    idle = conn.info.transaction_status == TransactionStatus.IDLE
    # "could not open relation with OID 1234": a view was dropped while it was read. A new transaction doesn't see it.
    for _ in range(4 if idle else 0):
        try:
            return _read(conn, choose, idle=True)
        except InternalError_:
            continue
    return _read(conn, choose, idle=idle)


def difference(before: Snapshot, after: Snapshot) -> list[Change]:
    """What was added, removed or changed, by kind and name.

    The order of columns counts only among those that both have.
    """
    keys = sorted({key for key, _ in before.items() ^ after.items()})
    changes = (Change(*key, before.get(key), after.get(key)) for key in keys)
    return [change for change in changes if not _same_order(change)]


def _read(conn: Connection[Any], choose: _Choose, *, idle: bool) -> list[Row]:
    with conn.transaction() if idle else nullcontext(), conn.cursor(row_factory=tuple_row) as cursor:
        if idle:
            cursor.execute("SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ")  # one moment for all queries
        earlier: dict[str, str] = {}
        if not idle:  # else they end with the transaction
            values = (
                "SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS name"
            )
            earlier = dict(cursor.execute(values, [[*SETTINGS, *PLANNING]]).fetchall())
        _set_local(cursor, SETTINGS | PLANNING)
        # Not prepared, since the session may belong to somebody else, unless it was made to prepare everything.
        prepare = None if conn.prepare_threshold == 0 else False
        part = choose(cursor)
        read: list[Row] = []
        if part.others or part.relations is None:
            holds = cursor.execute(query.conditions(), prepare=prepare).fetchone()
            assert holds
            text = query.compose(holds, some=part.relations is not None)
        else:
            text = query.of_relations() if part.relations else b""
        # Another name of the ledger (yoyo's migration_table), as the connection knows it; it has no quotes.
        if (table := getattr(conn, "migration_table", _LEDGER)) != _LEDGER:
            text = text.replace(f"'{_LEDGER}'".encode(), f"'{_LEDGER}', '{table}'".encode())
        if text:
            chosen = None if part.relations is None else {"chosen": part.relations}
            read = cursor.execute(text, chosen, prepare=prepare).fetchall()
        if earlier:
            _set_local(cursor, earlier)
    return read


def _set_local(cursor: Cursor[Any], settings: dict[str, str]) -> None:
    # Qualified, since the search_path that is still set may offer other functions of these names.
    each = "SELECT pg_catalog.set_config(key, value, true) FROM pg_catalog.jsonb_each_text(%s::pg_catalog.jsonb)"
    cursor.execute(each, [json.dumps(settings)])


def _same_order(change: Change) -> bool:
    if change.kind != "column order":
        return False
    before, after = ((names or "").split(", ") for names in (change.before, change.after))
    both = set(before) & set(after)
    return [name for name in before if name in both] == [name for name in after if name in both]


def _moved(before: Sequence[str], after: Sequence[str]) -> str:
    """Which columns of those that both have stand elsewhere, and behind which: few that explain the order."""
    both = {*before} & {*after}
    old, new = ([name for name in names if name in both] for names in (before, after))
    matcher = SequenceMatcher(None, new, old, autojunk=False)
    kept = {name for block in matcher.get_matching_blocks() for name in new[block.a : block.a + block.size]}
    moved = [
        f"{name} {f'is behind {new[at - 1]}' if at else 'is first'}"
        for at, name in enumerate(new) if name not in kept
    ]  # fmt: skip
    return ", ".join(moved[:_MOST_MOVED]) + (
        f" and {len(moved) - _MOST_MOVED} more" if len(moved) > _MOST_MOVED else ""
    )


def _differing(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    if sorted(before) == sorted(after):  # reordered, like the values of an enum: seen only as a whole
        return [*(("-", line) for line in before), *(("+", line) for line in after)]
    lines = []
    for tag, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [("-", line) for line in before[start:end]] + [("+", line) for line in after[new_start:new_end]]
    return lines
