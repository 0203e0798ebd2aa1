"""The rules about types that values outgrow: integer keys, columns that a migration or its rollback makes narrower."""

import re
from collections.abc import Iterator, Sequence

from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import commands, enum, settings
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, maker
from pgyoyo.sql import tree
from pgyoyo.sql.script import Script

_UTC = re.compile(r"(?:etc/)?(?:utc|uct|gmt|greenwich|universal|zulu)?[+-]?(?:0{1,2}(?:\.0|(?::00)*))?")
_INTEGERS = {"smallint": (2, "32,767"), "integer": (4, "2,147,483,647"), "bigint": (8, "9,223,372,036,854,775,807")}
_LIMITED = re.compile(r"(character varying|character|bit varying|bit|numeric)(?:\((\d+)(?:,(-?\d+))?\))?")


def counted_keys(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """New keys that a sequence counts up to the end of integer or smallint."""
    for oid, table in facts.after.tables.items():
        was = facts.before.tables.get(oid)
        if len(table.key) != 1 or table.partition or (was and table.key[0] in was.columns):
            continue
        column = table.columns[table.key[0]]
        if column.counted and column.type in ("integer", "smallint"):
            last = _INTEGERS[column.type][1]
            what = f"{table.name}.{column.name} is {column.type}: no row can be added after number {last}"
            yield maker(evidence, table.name), ("integer-key", what, facts.relation(oid))


def narrow_references(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Columns of new foreign keys that end before the bigint key that they point to."""
    for oid, key in facts.after.foreign_keys.items():
        table, referenced = facts.after.tables.get(key.table), facts.after.tables.get(key.references)
        if oid in facts.before.foreign_keys or not table or not referenced or table.partition or len(key.targets) != 1:
            continue
        [name], target = key.columns, referenced.columns[key.targets[0]]
        kind = next(column.type for column in table.columns.values() if column.name == name)
        if target.type == "bigint" and kind in ("integer", "smallint"):
            what = f"{table.name}.{name} is {kind}, and {referenced.name}.{target.name}, to which it points, is bigint"
            happens = f"{what}: no row can point beyond number {_INTEGERS[kind][1]}"
            yield maker(evidence, f"{table.name}.{name}", "column"), ("integer-key", happens, facts.relation(table.oid))


def narrower(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Columns whose new type does not hold all values of the old one."""
    for oid, number, old, new in changed_types(facts):
        table = facts.before.tables[oid]
        if table.partition or not (why := _narrows(old, new)):
            continue
        name = table.columns[number].name
        what = f"{table.name}.{name}: {old} → {new}; {why}"
        yield maker(evidence, f"{table.name}.{name}", "column"), ("narrower-type", what, facts.relation(oid))


def new_domains(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """New columns of a domain whose constraint makes the server compute, and write, every row."""
    for was, now in facts.kept:
        for number in now.columns.keys() - was.columns.keys():
            column = now.columns[number]
            each = maker(evidence, f"{now.name}.{column.name}", "column")
            relation = facts.relation(was.oid)
            if column.domain and relation in each.statement.work.rewritten:
                what = f"{now.name} and its indexes are rewritten for column {column.name} of the domain {column.type}"
                yield each, ("add-domain-column", what, relation)


def zones(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Changes between timestamp with and without time zone that needed no rewrite in UTC, where the rehearsal ran."""
    if _is_utc(facts.after.timezone or ""):
        return
    for oid, number, old, new in changed_types(facts):
        table = facts.before.tables[oid]
        both = old.startswith("timestamp") and new.startswith("timestamp")
        if table.partition or not both or old.endswith("with time zone") == new.endswith("with time zone"):
            continue
        each = maker(evidence, f"{table.name}.{table.columns[number].name}", "column")
        earlier = (setting for before, node in each_command([*each.before, each]) for setting in settings(node))
        zone = [value for name, value in earlier if name == "timezone"]
        if facts.relation(oid) not in each.statement.work.rewritten and not (zone and _is_utc(zone[-1])):
            what = f"{table.name}.{table.columns[number].name}: {old} → {new}"
            yield each, ("timezone-dependent-type", what, facts.relation(oid))


def _is_utc(zone: str) -> bool:
    """Whether it is a time zone without an offset, by its name or its hours; not for an empty text, the server's own zone."""
    return bool(zone) and _UTC.fullmatch(zone.lower()) is not None


def narrowed_back(script: Script, facts: Facts) -> Iterator[tuple[int, str, str]]:
    """The statements of a rollback that give a column its narrower type back: offset, what happens, the table."""
    changed = {
        (facts.before.tables[oid].name.rpartition(".")[2].strip('"'), facts.before.tables[oid].columns[number].name):
        (oid, old, new) for oid, number, old, new in changed_types(facts)
    }  # fmt: skip
    for statement in script.statements:
        for node in commands(script.text(statement).decode(errors="replace")):
            for command in node.cmds if tree.kind(node) == "AlterTableStmt" else ():
                change = command.alter_table_cmd
                key = (node.relation.relname, change.name)
                if enum(change, "subtype") != "AT_AlterColumnType" or key not in changed:
                    continue
                oid, old, new = changed[key]
                if why := _narrows(new, old):
                    table = facts.before.tables[oid].name
                    yield statement.start, f"{table}.{change.name}: {new} → {old}; {why}", table


def changed_types(facts: Facts) -> Iterator[tuple[int, int, str, str]]:
    """The columns with another type: table, number, old and new type."""
    for was, now in facts.kept:
        for number, column in was.columns.items():
            if number in now.columns and now.columns[number].type != column.type:
                yield was.oid, number, column.type, now.columns[number].type


def _narrows(old: str, new: str) -> str | None:
    """Why values of the old type may not fit into the new one; None where all do, or where nothing is known."""
    if old in _INTEGERS and new in _INTEGERS:
        return f"a value above {_INTEGERS[new][1]} fails" if _INTEGERS[new][0] < _INTEGERS[old][0] else None
    if new in _INTEGERS and old.split("(", maxsplit=1)[0] in ("numeric", "real", "double precision"):
        return "fractions are rounded, and larger values fail"
    if (old, new) == ("double precision", "real"):
        return "digits are lost"
    if new == "date" and old.startswith("timestamp"):
        return "the time of day is lost"
    before, after = _LIMITED.fullmatch(old), _LIMITED.fullmatch(new)
    if after and after[2] and (old == "text" or before):
        if before and before[1] != after[1]:
            return None
        if old == "text" or before is None or before[2] is None:
            return "larger or longer values fail"
        digits = int(after[2]) - int(after[3] or 0), int(before[2]) - int(before[3] or 0)
        if digits[0] < digits[1]:
            return "larger or longer values fail"
        return "digits after the point are rounded" if int(after[3] or 0) < int(before[3] or 0) else None
    return None


KEYS = (counted_keys, narrow_references, narrower, new_domains, zones)
