"""The questions of a review as queries on the target's tables, as these are in its catalog. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgyoyo.identifiers import quoted
from pgyoyo.review.live_questions import (
    Duplicates,
    Narrower,
    Nulls,
    Orphans,
    Question,
    Table,
    Validation,
    Violations,
    harmless,
)
from pgyoyo.sql import tree

_INTEGERS = {"int2": 15, "int4": 31, "int8": 63}
_NUMBERS = frozenset((*_INTEGERS, "numeric", "float4", "float8"))
_TEXTS = frozenset(("text", "varchar", "bpchar"))
_SPAN = {"int2": 5, "int4": 10, "int8": 19}  # digits


@dataclass(frozen=True, slots=True)
class LiveCatalog:
    """A table of the target: columns with type, modifier and NOT NULL; its primary key; what is invalid or not validated.

    A type is "" where its operators may not be PostgreSQL's own.
    """

    columns: Mapping[str, tuple[str, int, bool]]
    key: Sequence[str]
    invalid: Sequence[str]
    unvalidated: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query whose rows a statement refuses: how many are what; `valid`: the statement itself fails for them."""

    table: tuple[str, str]
    words: str
    query: str
    valid: bool = True
    noun: str = "row"


_Catalog = Mapping[tuple[str, str], LiveCatalog]


def asked(question: Question, catalog: _Catalog, version: int) -> Iterator[Asked]:
    """The queries for a question; none where the target has no such table or column yet, or nothing can be refused.

    `version` is the target's, as libpq gives it.
    """
    name = (question.table.schema or "public", question.table.name)
    table = catalog.get(name)
    if table is None:
        return
    rows = f"SELECT FROM {quoted(name[0])}.{quoted(name[1])} AS r WHERE"
    short = _short(question.table)
    match question:
        case Nulls(columns=columns) if table.columns.keys() >= set(columns):
            open_ = [column for column in columns if not table.columns[column][2]]
            if open_:
                condition = " OR ".join(f"r.{quoted(column)} IS NULL" for column in open_)
                yield Asked(name, f"NULL in {short}.{', '.join(open_)}", f"{rows} {condition}")
        case Duplicates(keys=keys, where=where, nulls_count=nulls_count):
            if not _is_known(table, [*keys, *([where] if where else [])]) or _has_key(table, keys):
                return
            conditions = [f"({where})"] if where else []
            conditions += [] if nulls_count else [f"({key}) IS NOT NULL" for key in keys]
            grouped = f"GROUP BY {', '.join(str(n) for n in range(1, len(keys) + 1))} HAVING count(*) > 1"
            source = f"SELECT {', '.join(keys)} FROM {quoted(name[0])}.{quoted(name[1])} AS r"  # noqa: S608 - quoted
            query = f"{source} WHERE {' AND '.join(conditions) or 'true'} {grouped}"
            yield Asked(name, f"more than one row of {short} with the same {_list(keys)}", query, noun="key")
        case Violations(check=check, valid=valid) if _is_known(table, [check], own=True):
            yield Asked(name, f"the CHECK of {short} is false", f"{rows} NOT ({check})", valid)
        case Orphans():
            yield from _orphans(question, name, catalog, rows)
        case Narrower(column=column) if column in table.columns:
            wide = _too_wide(question, *table.columns[column][:2], version)
            if wide:
                yield Asked(name, f"a value of {short}.{column} does not fit into the new type", f"{rows} {wide}")
        case Validation(constraint=constraint):
            for each in table.unvalidated:
                if each["name"] == constraint:
                    yield from _validation(question.table, each, catalog, version)


def _orphans(question: Orphans, name: tuple[str, str], catalog: _Catalog, rows: str) -> Iterator[Asked]:
    parent = (question.parent.schema or "public", question.parent.name)
    targets = question.targets or (tuple(catalog[parent].key) if parent in catalog else ())
    if parent not in catalog or len(targets) != len(question.columns):
        return
    sides = ((catalog[name].columns, question.columns), (catalog[parent].columns, targets))
    if not all(column in there and there[column][0] for there, columns in sides for column in columns):
        return
    columns = [f"r.{quoted(column)}" for column in question.columns]
    pairs = zip(columns, targets, strict=True)
    same = " AND ".join(f"p.{quoted(target)} = {column}" for column, target in pairs)
    there = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    condition = f"({there} AND NOT EXISTS (SELECT FROM {quoted(parent[0])}.{quoted(parent[1])} AS p WHERE {same}))"
    if question.full and len(columns) > 1:
        condition += f" OR (num_nulls({', '.join(columns)}) BETWEEN 1 AND {len(columns) - 1})"
    words = f"{_short(question.table)}.{', '.join(question.columns)} points to no row of {_short(question.parent)}"
    yield Asked(name, words, f"{rows} {condition}", question.valid)


def _validation(table: Table, constraint: Mapping[str, Any], catalog: _Catalog, version: int) -> Iterator[Asked]:
    """The question that a constraint of the target asks when it is validated."""
    columns = tuple(constraint["columns"])
    match constraint["kind"]:
        case "f":
            parent = Table(*constraint["parent"])
            orphans = Orphans(table, columns, parent, tuple(constraint["targets"]), constraint["full"])
            yield from asked(orphans, catalog, version)
        case "n":
            yield from asked(Nulls(table, columns), catalog, version)
        case "c" if constraint["check"] is not None:
            condition = tree.condition(constraint["check"])
            if condition is not None and harmless(condition):
                yield from asked(Violations(table, constraint["check"]), catalog, version)


def _is_known(table: LiveCatalog, expressions: Sequence[str], *, own: bool = False) -> bool:
    """Whether the table has all columns that stand in the expressions; `own`: with operators of PostgreSQL's own."""
    trees = [tree.condition(expression) for expression in expressions]
    if any(each is None for each in trees):
        return False
    named = [tree.column(node) for each in trees for node in tree.walk(each) if tree.kind(node) == "ColumnRef"]
    types = [table.columns.get(column[1]) if column else None for column in named]
    return all(each is not None and (each[0] or not own) for each in types)


def _has_key(table: LiveCatalog, keys: Sequence[str]) -> bool:
    """Whether the primary key allows no duplicates of these."""
    return bool(table.key) and {quoted(name) for name in table.key} <= set(keys)


def _too_wide(question: Narrower, old: str, modifier: int, version: int) -> str | None:
    """The condition for a value that the new type does not hold; None where it holds all, or that is not known."""
    column, new, given = f"r.{quoted(question.column)}", question.type, question.modifiers
    if new in _INTEGERS and old in _NUMBERS:
        if old in _INTEGERS and _INTEGERS[old] <= _INTEGERS[new]:
            return None
        bound = 1 << _INTEGERS[new]
        finite = "" if old in _INTEGERS else f"{column}::text IN ('NaN', 'Infinity', '-Infinity') OR "
        return f"{finite}round({column}::numeric) NOT BETWEEN -{bound} AND {bound - 1}"
    if new == "numeric" and given and old in _NUMBERS:
        digits, scale = given[0], given[1] if len(given) > 1 else 0
        if old == "numeric" and modifier >= 0:
            typmod = modifier - 4
            if (typmod >> 16) - (typmod & 0x7FF) <= digits - scale and (typmod & 0x7FF) <= 1000:
                return None
        if old in _SPAN and _SPAN[old] <= digits - scale:
            return None
        special = f"{column}::text IN ('Infinity', '-Infinity') OR " if old not in _INTEGERS else ""
        return f"{special}({column}::text <> 'NaN' AND abs(round({column}::numeric, {scale})) >= 1e{digits - scale}::numeric)"
    if new in ("varchar", "bpchar") and (given or new == "bpchar"):
        length = given[0] if given else 1
        if old in ("varchar", "bpchar") and 0 <= modifier - 4 <= length:
            return None
        return f"length(rtrim({column}::text, ' ')) > {length}"
    if old in _TEXTS and new not in _TEXTS and version >= 160000:
        full = new + (f"({','.join(map(str, given))})" if given else "")
        return f"NOT pg_input_is_valid({column}::text, '{full.replace(chr(39), chr(39) * 2)}')"
    return None


def _short(table: Table) -> str:
    return table.name if table.schema in (None, "public") else f"{table.schema}.{table.name}"


def _list(keys: Sequence[str]) -> str:
    return ", ".join(key.strip('"') for key in keys)
