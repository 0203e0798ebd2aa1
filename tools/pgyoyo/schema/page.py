"""A snapshot of the catalog as a page in Markdown, with a diagram that GitHub draws."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from unicodedata import combining, normalize

from pgyoyo import markdown
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.markdown import code, text

Key = tuple[str, str]

HEAD = """\
<!-- Written by pgyoyo schema: change it with a new migration, never here. -->

# Schema

What stands in the database after all migrations, and beside each thing the migration that made it or changed it last.
"""
# What Mermaid draws without being configured: 50,000 characters, 500 lines between boxes.
DIAGRAM_SIZE = 45_000
DIAGRAM_LINES = 500

# What has a section of its own first, in this order; whatever else there is comes after it.
KINDS = ("type", "domain", "view", "materialized view", "function", "procedure", "aggregate", "sequence")
DETAILS = ("definition", "comment", "migration")
IN_SECTIONS = ("table", "foreign table", "column", "column order", "comment")
NAME = r'(?:"(?:[^"]|"")+"|[^\s",.()]+)'
_PART = re.compile(f"({NAME}) on (.*)", re.DOTALL)
_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {NAME} ON (?:ONLY )?({NAME}\.{NAME}) ")
_COMMAND = re.compile(rf"CREATE ((?:UNIQUE |CONSTRAINT )?(?:INDEX|TRIGGER|RULE) ){NAME} ")
_KEY = re.compile(
    r"(?P<kind>PRIMARY KEY|UNIQUE|FOREIGN KEY)[A-Z ]* "
    rf"\((?P<columns>(?:[^()\"]|\"[^\"]*\")*)\)(?: REFERENCES (?P<to>{NAME}\.{NAME})\()?"
)
_UNIQUE_INDEX = re.compile(
    rf"CREATE (?P<kind>UNIQUE) INDEX .* USING \w+ \((?P<columns>{NAME}(?:, {NAME})*)\)(?: INCLUDE .*)?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `other` is its default, and whatever else describes it."""

    name: str
    type: str
    nullable: bool
    rest: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `parts` are its constraints, indexes, triggers, policies and rules, the rest what its keys mean."""

    kind: str
    identity: str
    definition: str
    columns: tuple[Column, ...]
    parts: tuple[Key, ...]
    unique: tuple[tuple[str, frozenset[str]], ...]
    references: tuple[tuple[tuple[str, ...], str], ...]


def page(schema: Snapshot, made: Mapping[Key, Sequence[str]], paths: Mapping[str, str]) -> str:
    """The page of a schema.

    `made` has, for each thing that migrations made, the ids of those that touched it, in order; what none touched, such as
    the schema public, is left out. `paths` has their files, as the page's links name them.
    """
    links = {key: [f"[{text(name)}]({paths[name]})" for name in names] for key, names in made.items()}
    drawn = _tables(schema)
    listed = {key for table in drawn for key in table.parts}
    rest: dict[str, list[Key]] = {}
    for key in schema:
        if key in links and key not in listed and key[0] not in IN_SECTIONS:
            rest.setdefault(key[0], []).append(key)
    paragraphs = [HEAD]
    if drawn:
        paragraphs += ["## Diagram\n", _diagram(drawn), "## Tables\n"]
    paragraphs += ["\n".join(_table_lines(table, schema, links)) for table in drawn]
    for kind in [*(kind for kind in KINDS if kind in rest), *sorted(rest.keys() - KINDS)]:
        rows = (_row(key, schema, links) for key in rest[kind])
        paragraphs.append(f"## {_plural(kind).capitalize()}\n\n" + markdown.table((kind, *DETAILS), rows))
    return "\n".join(paragraphs)


def _tables(schema: Snapshot) -> list[Table]:
    parts: dict[str, list[Key]] = {}
    for key, definition in schema.items():
        kind, identity = key
        if kind in ("constraint", "policy", "rule", "trigger") and (part := _PART.fullmatch(identity)):
            parts.setdefault(part[2], []).append(key)
        elif kind == "index" and (index := _INDEX.match(definition)):
            parts.setdefault(index[1], []).append(key)
    tables = sorted((identity, kind) for kind, identity in schema if kind in ("table", "foreign table"))
    return [_table(kind, identity, schema, parts.get(identity, ())) for identity, kind in tables]


def _table(kind: str, identity: str, schema: Snapshot, parts: Sequence[Key]) -> Table:
    names = re.findall(NAME, schema.get(("column order", identity), ""))
    columns = tuple(_column(name, schema["column", f"{identity}.{name}"]) for name in names)
    unique, references = [], []
    for part in parts:
        if match := _KEY.match(schema[part]) or _UNIQUE_INDEX.fullmatch(schema[part]):
            among = tuple(name for name in re.findall(NAME, match["columns"]) if name in names)
            if match["kind"] == "FOREIGN KEY":
                references.append((among, match["to"]))
            else:
                unique.append((match["kind"], frozenset(among)))
    return Table(kind, identity, schema[kind, identity], columns, tuple(parts), tuple(unique), tuple(references))


def _column(name: str, definition: str) -> Column:
    kind, *facts = definition.split("\n")
    default = " ".join(fact for fact in facts if fact != "NOT NULL").removeprefix("DEFAULT ")
    return Column(name, kind, "NOT NULL" not in facts, re.sub(r"(AS IDENTITY) \(SEQUENCE NAME .*", r"\1", default))


def _table_lines(table: Table, schema: Snapshot, links: Mapping[Key, Sequence[str]]) -> Iterator[str]:
    yield f"### {text(_short(table.identity))}\n"
    first, *later = links[table.kind, table.identity]
    by = f"Made by {first}" + (f", changed by {later[-1]}." if later else ".")
    comment = text(schema.get(("comment", f"{table.kind} {table.identity}"), ""))
    yield " ".join(word for word in (by, comment, code(table.definition)) if word) + "\n"
    # A partition has the columns of its parent.
    if table.columns and not table.definition.startswith("PARTITION OF"):
        rows = []
        for column in table.columns:
            _, _, *rest = _row(("column", f"{table.identity}.{column.name}"), schema, links)
            null = "" if column.nullable else "NOT NULL"
            rows.append((text(column.name), code(_short(column.type)), null, code(column.rest), *rest))
        yield markdown.table(("column", "type", "null", "default", *DETAILS[1:]), rows)
    if table.parts:
        rows = [_row(part, schema, links, table.identity) for part in table.parts]
        yield markdown.table(("key, index, trigger", *DETAILS), rows)


def _row(key: Key, schema: Snapshot, links: Mapping[Key, Sequence[str]], table: str = "") -> tuple[str, ...]:
    """Name, definition, comment, migration, each as a cell."""
    kind, identity = key
    name = identity.removesuffix(f" on {table}") if table else identity
    return (
        text(_short(name)),
        code(shorten(_facts(kind, schema[key], table), 400, placeholder=" …")),
        text(schema.get(("comment", f"{kind} {identity}"), "")),
        # The number is enough, unless it is a date.
        re.sub(r"^\[(\d+)[-_.](?!\d)[^\]]*\]", r"[\1]", links[key][-1]),
    )


def _facts(kind: str, definition: str, table: str) -> str:
    """What a line can tell of a definition."""
    first, *rest = definition.split("\n")
    if kind == "type":
        return f"{first} ({', '.join(rest)})" if rest else first
    if kind in ("function", "procedure"):
        # The name stands beside it, the body in schema.sql.
        return re.split(r"\n ?(?:AS |RETURN |BEGIN ATOMIC)", definition)[0].removeprefix(first)
    command = ("POLICY " if kind == "policy" else "") + _COMMAND.sub(r"\1", definition)
    return re.sub(rf"\bON (?:ONLY )?{re.escape(table)} ", "", command, count=1) if table else command


def _plural(kind: str) -> str:
    stem = re.sub("y$", "ie", kind)
    return kind if kind == "statistics" else stem + ("es" if stem.endswith(("s", "x")) else "s")


def _short(name: str) -> str:
    return name.removeprefix("public.")


# --- The diagram: https://mermaid.js.org/syntax/entityRelationshipDiagram.html ---


def _diagram(tables: Sequence[Table]) -> str:
    """The diagram with as many of the columns as Mermaid takes: all, those of keys, none; a sentence where it takes none."""
    drawn = [table for table in tables if not table.definition.startswith("PARTITION OF")]
    lines = sum(len(table.references) for table in drawn)
    for columns in ("all", "keys", "none") if lines <= DIAGRAM_LINES else ():
        body = "\n".join(line for table in drawn for line in _entity(table, columns))
        if len(body) <= DIAGRAM_SIZE:
            return f"```mermaid\nerDiagram\n{body}\n```\n"
    return "There are too many tables here for GitHub to draw them.\n"


def _entity(table: Table, columns: str) -> Iterator[str]:
    own = _box(table.identity)
    keys = {name: _keys(name, table) for name in (column.name for column in table.columns)}
    shown = [column for column in table.columns if columns == "all" or (columns == "keys" and keys[column.name])]
    yield f"    {own} {{"
    for column in shown:
        yield f"        {_word(_type(column.type))} {_word(column.name)} {', '.join(keys[column.name])}".rstrip()
    yield "    }"
    optional = {column.name for column in table.columns if column.nullable}
    for names, to in table.references:
        parent = "|o" if optional & set(names) else "||"
        many = "o|" if any(among <= set(names) for _, among in table.unique) else "o{"
        yield f'    {_box(to)} {parent}--{many} {own} : "{_plain(", ".join(names))}"'


def _keys(name: str, table: Table) -> list[str]:
    primary = any(kind == "PRIMARY KEY" and name in among for kind, among in table.unique)
    foreign = any(name in names for names, _ in table.references)
    unique = ("UNIQUE", frozenset({name})) in table.unique
    return ["PK"] * primary + ["FK"] * foreign + ["UK"] * unique


def _type(name: str) -> str:
    name = re.sub(r"^(timestamp|time)(\(\d\))? with time zone", r"\1tz\2", name).replace(" without time zone", "")
    return re.sub(r"\(.*,.*\)", "", _short(name).replace("character varying", "varchar"))


def _word(name: str) -> str:
    """A name or a type as every version of Mermaid takes it: ASCII letters, digits, underscores, brackets further on."""
    letters = "".join(sign for sign in normalize("NFKD", name.replace('"', "")) if not combining(sign))
    word = re.sub(r"[^A-Za-z0-9_()\[\]]", "_", letters)
    return word if re.match(r"[A-Za-z_]", word) and word.upper() not in ("PK", "FK", "UK") else f"_{word}"


def _box(identity: str) -> str:
    return f'"{_plain(_short(identity))}"'


def _plain(name: str) -> str:
    return re.sub(r"[^\w .,$-]", "_", name.replace('"', "")) or "_"
