"""Rows written after a migration, as an application may: for which tables, and what a rollback loses of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pgyoyo.catalog import rows
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.snapshot import Change


def looser(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], changes: Sequence[Change]
) -> set[str]:
    """The tables of both that lost a column or a rule, or have a column of another type: they may hold other rows now."""
    types = {
        change.identity.rpartition(".")[2].strip('"')
        for change in changes
        if change.kind in ("type", "domain") and None not in (change.before, change.after)
    }
    earlier = {table["name"]: _facts(table) for table in before}
    return {
        table["name"]
        for table in after
        if table["name"] in earlier
        and (
            earlier[table["name"]] - _facts(table)
            or any(name in column["sql"] for name in types for column in table["columns"])
        )
    }


def _facts(table: Mapping[str, Any]) -> frozenset[str]:
    columns = (repr((column["name"], column["sql"], column["nullable"])) for column in table["columns"])
    return frozenset([*columns, *map(repr, table["rules"]), *map(repr, table["links"]), repr(table["key"])])


def lost(
    before: Mapping[str, TableRows],
    written: Mapping[str, TableRows],
    back: Mapping[str, TableRows],
    again: Mapping[str, TableRows],
) -> list[str]:
    """What the rollback lost of the rows that were `written` after the migration, a line for each column or table.

    A value counts as lost if it is another one both after the rollback (`back`), where it may have another type, and after
    applying once more (`again`), where the migration may have changed it itself. Values in new columns of a table that lost
    none go with the columns.
    """
    gone = rows.lost(written, back).keys() & (missing := rows.lost(written, again)).keys()
    lines = []
    for table, column in sorted(gone, key=str):
        if table not in before:
            continue
        old, new = _columns(before[table]), _columns(written[table])
        if column is None:
            lines.append(f"rows: {table}: {missing[table, None]} of the rows written after the migration gone")
        elif column in old or old - new:
            count = missing[table, column]
            lines.append(f"rows: {table}.{column}: {count} of the values written after the migration changed")
    return lines


def _columns(table: TableRows) -> set[str]:
    return set(table.rows[0]) if table.rows else set()
