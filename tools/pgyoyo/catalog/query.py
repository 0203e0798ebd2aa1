"""The query of catalog.sql without the sections that would give no row: planning all of them takes longer than the rest."""

import hashlib
import re
from functools import cache
from pathlib import Path

_CONDITION = re.compile(r"^ *-- only if: (.+)$", re.MULTILINE)
# A section whose rows belong to no relation, and the words that join the first one that is left to those before it.
_OF_NO_RELATION = re.compile(r"^  SELECT NULL(?:::oid)?,", re.MULTILINE)
_FIRST_UNION = re.compile(r"(AS MATERIALIZED \(\n\n(?:  --[^\n]*\n)*)  UNION ALL\n")
# What differs where only some relations are read: the text, and what takes its place. A plan is kept for any number of them
# and would scan whole catalogs: the fences (OFFSET 0) have their rows looked up for each.
_SOME = {
    "  SELECT * FROM relation\n  WHERE true\n": "  SELECT * FROM relation\n  WHERE oid = ANY (%(chosen)s::oid[])\n",
    # Of the sequences, those that are chosen or belong to what is.
    "d.refobjsubid > 0\n  WHERE true\n": (
        "d.refobjsubid > 0\n  WHERE r.oid IN (SELECT oid FROM chosen UNION ALL SELECT d.objid FROM chosen AS c"
        " CROSS JOIN LATERAL (SELECT objid FROM pg_depend"
        " WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid OFFSET 0) AS d)\n"
    ),
    "  LEFT JOIN pg_constraint AS k ON k.conindid = c.oid AND k.conrelid = r.oid AND k.contype IN ('p', 'u', 'x')\n": (
        "  LEFT JOIN LATERAL (SELECT oid FROM pg_constraint WHERE conrelid = r.oid AND conindid = c.oid"
        " AND contype IN ('p', 'u', 'x') OFFSET 0) AS k ON true\n"
    ),
    "  JOIN pg_constraint AS k ON k.conrelid = r.oid\n": (
        "  CROSS JOIN LATERAL (SELECT * FROM pg_constraint WHERE conrelid = r.oid OFFSET 0) AS k\n"
    ),
    "  JOIN pg_description AS d ON d.classoid = o.catalog AND d.objoid = o.oid AND d.objsubid = o.subid\n": (
        "  CROSS JOIN LATERAL (SELECT * FROM pg_description"
        " WHERE objoid = o.oid AND classoid = o.catalog AND objsubid = o.subid OFFSET 0) AS d\n"
    ),
}
# What differs more where nothing else is read: only the chosen relations are looked up, with the sequences of their columns
# and the tables of these sequences.
_ONLY = {
    "  FROM pg_class AS c\n  JOIN namespace AS n ON n.oid = c.relnamespace\n  WHERE c.relkind IN ('r', 'p', 'f',": (
        "  FROM (\n"
        "    SELECT given FROM unnest(%(chosen)s::oid[]) AS given\n"
        "    UNION SELECT d.objid FROM unnest(%(chosen)s::oid[]) AS given CROSS JOIN LATERAL (SELECT objid FROM pg_depend\n"
        "      WHERE refclassid = 'pg_class'::regclass AND refobjid = given AND classid = refclassid\n"
        "        AND deptype IN ('a', 'i') OFFSET 0) AS d\n"
        "    UNION SELECT d.refobjid FROM unnest(%(chosen)s::oid[]) AS given CROSS JOIN LATERAL (\n"
        "      SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = given\n"
        "        AND refclassid = classid AND deptype IN ('a', 'i') OFFSET 0) AS d\n"
        "  ) AS near (oid)\n"
        "  CROSS JOIN LATERAL (SELECT * FROM pg_class WHERE oid = near.oid OFFSET 0) AS c\n"
        "  JOIN namespace AS n ON n.oid = c.relnamespace\n"
        "  WHERE c.relkind IN ('r', 'p', 'f',"
    ),
    "    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)\n": (
        "    AND NOT EXISTS (SELECT FROM pg_depend AS m"
        " WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid AND m.deptype = 'e')\n"
    ),
}
_COLUMNS = "SELECT kind, identity, definition\n"


@cache
def conditions() -> bytes:
    """A query whose one row holds, for each condition of a section, whether it is true in the connection's database."""
    listed = ", ".join(dict.fromkeys(condition for section in _sections() for condition in _CONDITION.findall(section)))
    return f"SELECT {listed}".encode()


@cache
def compose(holds: tuple[bool, ...], *, some: bool = False) -> bytes:
    """The query without the sections whose condition does not hold, in the order of `conditions`.

    A fourth column is the OID of the relation that a row belongs to, or NULL. With `some`, the parameter `chosen` lists the
    OIDs of the relations to read; what belongs to none is always read.
    """
    sections = _sections()
    names = dict.fromkeys(condition for section in sections for condition in _CONDITION.findall(section))
    false = {name for name, true in zip(names, holds, strict=True) if not true}
    return _query([each for each in sections if false.isdisjoint(_CONDITION.findall(each))], _SOME if some else {})


@cache
def of_relations() -> bytes:
    """The query for the relations whose OIDs the parameter `chosen` lists, and for nothing else; with the fourth column."""
    sections = [section for section in _sections() if not _OF_NO_RELATION.search(section)]
    return _FIRST_UNION.sub(r"\1", _query(sections, _SOME | _ONLY).decode()).encode()


def _query(sections: list[str], replaced: dict[str, str]) -> bytes:
    text = "\n\n".join(sections).replace(_COLUMNS, _COLUMNS.replace("\n", ", relid\n"))
    if replaced:
        text = text.replace("%", "%%")  # a sign of per cent, in a query with parameters
        for whole, part in replaced.items():
            text = text.replace(whole, part)
    return text.encode()


@cache
def digest() -> str:
    """A checksum of what names the things of a catalog: it differs where another version may name them otherwise."""
    return hashlib.sha256("".join(_sections()).encode()).hexdigest()


@cache
def _sections() -> list[str]:
    return Path(__file__).with_name("catalog.sql").read_text().split("\n\n")
