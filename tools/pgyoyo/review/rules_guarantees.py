"""The rules about what a table no longer guarantees: unique keys, constraints and NOT NULL that are dropped."""

import re
from collections.abc import Sequence

from pgyoyo.review.catalog_facts import Facts, Index, Table
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, listed, maker
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.rules_drops import named_in_drop

_CAST = re.compile(r"::[a-z]+(?: [a-z]+)*(?:\(\d+\))?|[()]")
_NOT_NULL = re.compile(r'CHECK \(+"?(.+?)"? IS NOT NULL\)+(?: NOT VALID)?')


def unique_keys(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Unique indexes and constraints that are gone, unless another one keeps the same columns unique."""
    kept = {was.oid: (was, now) for was, now in facts.kept}
    left = [index for index in facts.after.indexes.values() if index.unique and index.valid]
    for oid, index in facts.before.indexes.items():
        if oid in facts.after.indexes or not index.unique or not index.valid or index.table not in kept:
            continue
        was, now = kept[index.table]
        columns = _columns(index)
        if any(each.name == index.name and _written(each) == _written(index) for each in left):
            continue  # built anew, as for another type of its column
        # A key or a column that is gone is a finding of its own; an index of a partition may belong to the whole table's now.
        if index.primary or now.partition or _lost(was, now) & set(columns):
            continue
        if any(each.table == index.table and _keeps(each, index) for each in left):
            continue
        part = f", of the rows {index.where}," if index.where else ""
        what = f"{index.name} is dropped: nothing keeps {listed(columns)} of {was.name}{part} unique any more"
        yield _dropper(evidence, index, was.name), ("drop-unique", what, facts.relation(was.oid))


def constraints(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """CHECKs, foreign keys and exclusion constraints that are gone, unless the file makes them again."""
    made = {
        change.identity for each in evidence for change in each.statement.changes
        if change.kind == "constraint" and change.after is not None
    }  # fmt: skip
    tables = {was.name: (was, now) for was, now in facts.kept if not now.partition}
    for each in evidence:
        named = set(named_in_drop(each))
        without = {change.identity.rpartition(".")[0] for change in each.statement.changes
                   if change.kind == "column" and change.after is None}  # fmt: skip
        for change in each.statement.changes:
            name, _, table = change.identity.rpartition(" on ")
            if change.kind != "constraint" or change.after is not None or change.identity in made:
                continue
            if table in without or table not in tables or ("constraint", name.strip('"')) not in named:
                continue  # it goes with something else, which says so
            if not _existed(each, change.identity):
                continue
            was, now = tables[table]
            rule = change.before or ""
            if rule.startswith(("CHECK", "FOREIGN KEY", "EXCLUDE")) and not _proves_not_null(rule, now):
                yield each, ("drop-constraint", f"{name} of {table} is dropped: {rule}", facts.relation(was.oid))


def nulls(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Columns that were NOT NULL."""
    for was, now in facts.kept:
        for number, column in now.columns.items() if not was.partition else ():
            if number in was.columns and was.columns[number].required and not column.required and number not in now.key:
                what = f"{column.name} of {was.name} may be NULL"
                yield (
                    maker(evidence, f"{was.name}.{column.name}", "column"),
                    ("drop-not-null", what, facts.relation(was.oid)),
                )


def _columns(index: Index) -> list[str]:
    """Its columns and expressions, without their operator classes, collations and order."""
    return [key.rsplit(" ", 3)[0] for key in index.keys]


def _written(index: Index) -> list[str]:
    """Its columns and expressions, and its condition, without the casts that the server adds for a column's type."""
    return [_CAST.sub("", text) for text in (*_columns(index), index.where or "")]


def _lost(was: Table, now: Table) -> set[str]:
    """The columns that are gone."""
    return {was.columns[number].name for number in was.columns.keys() - now.columns.keys()}


def _keeps(index: Index, lost: Index) -> bool:
    """Whether ON CONFLICT takes an index for a lost one: it has the same columns, in whatever order, of the same rows."""
    columns, before = ({key.rpartition(" ")[0] for key in each.keys} for each in (index, lost))
    return columns == before and index.where in (None, lost.where)


def _proves_not_null(rule: str, table: Table) -> bool:
    """Whether a CHECK says no more than that a column is NOT NULL, which the column says itself."""
    match = _NOT_NULL.fullmatch(rule)
    return match is not None and any(column.required and column.name == match[1] for column in table.columns.values())


def _dropper(evidence: Sequence[Evidence], index: Index, table: str) -> Evidence:
    """The statement that drops an index or its constraint."""
    names = {name.replace('"', "") for name in (index.name, f"{bare_name(index.name)} on {table}")}
    for each in evidence:
        if any(change.after is None and change.identity.replace('"', "") in names for change in each.statement.changes):
            return each
    return maker(evidence, table)


def _existed(each: Evidence, identity: str) -> bool:
    """Whether no earlier statement of the file made it."""
    return not any(
        change.kind == "constraint" and change.identity == identity and change.before is None
        for earlier in each.before
        for change in earlier.statement.changes
    )


GUARANTEES = (unique_keys, constraints, nulls)
