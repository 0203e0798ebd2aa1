"""An INSERT … SELECT that can be run on a part of the rows that it reads at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postgast import pg_query_pb2 as pb

from pgyoyo.identifiers import qualified, quoted
from pgyoyo.sql import tree
from pgyoyo.sql.batched import (
    VOLATILE,
    Batched,
    NotBatchableError,
    called,
    calls,
    moving,
    reads,
    refuse_forms,
)  # fmt: skip
from pgyoyo.sql.batched_text import cut_insert, qualifiers
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node

_HOW = (
    "a batch may be repeated after a crash, so a row that is there must not be inserted again: write ON CONFLICT DO NOTHING, "
    "or NOT EXISTS with the key of the table that it inserts into"
)
COUNTS = "it calls {}(…), which counts rows that may lie in several batches"
# What makes a row of the result of more than one row of a table.
_FORBIDDEN = {
    "group_clause": "a GROUP BY, whose groups may lie in several batches",
    "having_clause": "a HAVING, whose groups may lie in several batches",
    "window_clause": "a WINDOW, whose rows may lie in several batches",
    "sort_clause": "an ORDER BY, which batches don't keep; remove it",
    "limit_count": "a LIMIT, which would count in each batch",
    "limit_offset": "an OFFSET, which would count in each batch",
    "locking_clause": "a FOR UPDATE or the like; remove it",
    "with_clause": "a WITH; write the query as a subquery",
    "values_lists": "VALUES, which are no rows of a table",
    "into_clause": "an INTO",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedInsert(Batched):
    """An INSERT of what it selects from one table, of which it inserts nothing twice.

    `into` is the (schema, table) that it inserts into, `listed` the text of what it selects, `computes` the functions that
    it calls there, `calls` those of each value with its subqueries, `names` the columns that get it, empty until the
    catalog gave them where the author names none. `conflict` are the columns, or the name of the constraint, of its ON
    CONFLICT; `guarded` those of its NOT EXISTS. `keys` are the unique keys that keep a row from being inserted again, each
    as columns with their types; `keys_alone` if nothing else keeps rows out.
    """

    VERB = "insert"
    DONE = "inserted"
    TRIGGER = 4
    RULE = "3"
    LOCK = ""

    into: tuple[str | None, str]
    listed: str = field(repr=False)
    before_table: str = field(repr=False)
    index: int
    has_alias: bool
    computes: frozenset[str] = frozenset()
    calls: tuple[frozenset[str], ...] = ()
    names: tuple[str, ...] = ()
    conflict: tuple[str, ...] | str | None = None
    guarded: tuple[str, ...] = ()
    keys: tuple[tuple[tuple[str, str], ...], ...] = ()
    keys_alone: bool = False

    @property
    def written(self) -> str:
        """The name of the table that it inserts into, quoted."""
        return qualified(*self.into)

    def cut_again(self, text: str) -> Mapping[str, str]:
        """The parts of a text that differs from the author's in what qualifies the columns."""
        return cut_insert(text, _walkable(tree.parse(text))[self.index].location)

    def table_as(self, member: str | None) -> str:
        """The table that is walked, with its alias where the author wrote none."""
        if not member:
            return self.target
        return f"ONLY {member}" + ("" if self.has_alias else f" AS {quoted(self.alias)} ")

    def sources(self, member: str | None) -> str:
        """What follows FROM."""
        return f"{self.before_table}{self.table_as(member)}{self.from_clause}"

    def remaining(self, *, member: str | None = None, limit: int | None = None, which: str = "true") -> str:
        """The query for the places of rows whose own are not there yet, of those that satisfy `which`."""
        most = "" if limit is None else f" LIMIT {limit}"
        rows = self._missing(member, which)
        return f"SELECT DISTINCT _place::pg_catalog.text FROM {rows}{most}"  # noqa: S608 - the author's text

    def count(self, *, member: str | None = None) -> str:
        """The query for the number of rows whose own are not there."""
        rows = self._missing(member)
        return f"SELECT pg_catalog.count(DISTINCT _place) FROM {rows}"  # noqa: S608 - the author's text

    def examples(self, key: Sequence[str], *, member: str | None = None, limit: int, which: str = "true") -> str:
        """The query for the keys, or the places, of some of these rows."""
        own = [f"{quoted(self.alias)}.{quoted(name)}" for name in key] or [self.ctid]
        listed = ", ".join(f"{part}::pg_catalog.text" for part in own)
        places = f"SELECT _place FROM {self._missing(member, which)} LIMIT {limit}"  # noqa: S608 - the author's text
        rows = f"{member or self.name} AS {quoted(self.alias)} WHERE {self.ctid} OPERATOR(pg_catalog.=) ANY (ARRAY({places}))"
        return f"SELECT {listed} FROM {rows} ORDER BY {self.ctid}"  # noqa: S608 - the author's text

    def width(self) -> str:
        """A query that gives no row, with a column for each that is inserted."""
        return f"SELECT {self.listed.strip()}\nFROM{self.rows(None)} LIMIT 0"

    def keyed(self, names: Sequence[str], keys: Sequence[Sequence[tuple[str, str]]], *, alone: bool) -> "BatchedInsert":
        """The same with what the catalog says of the columns, and of the unique keys that count; `alone` if no other does."""
        return replace(self, names=tuple(names), keys=tuple(tuple(key) for key in keys), keys_alone=alone)

    def _missing(self, member: str | None, which: str = "true") -> str:
        own = self.unqualified() if member else self
        names = ", ".join(("_place", *map(quoted, self.names)))
        rows = f"SELECT {self.ctid}, {own.listed}\nFROM{own.rows(member)} AND {which.format(ctid=self.ctid)}"
        there = [
            f"EXISTS (SELECT FROM {self.written} AS _there WHERE "
            + " AND ".join(
                f"_there.{quoted(name)} OPERATOR(pg_catalog.=) _row.{quoted(name)}::{kind}" for name, kind in key
            )
            + ")"
            for key in self.keys
        ]
        return f"({rows}) AS _row ({names}) WHERE NOT ({' OR '.join(there) or 'false'})"


def batched_insert(script: Script, statement: Statement, text: str, node: Node) -> list[BatchedInsert]:
    """The INSERT, for each table that it might walk; raises NotBatchableError."""
    into = node.relation
    refuse_forms(node, into, itself="")
    query = tree.unwrap(node.select_stmt)
    if tree.kind(query) != "SelectStmt" or query.op != pb.SETOP_NONE:
        raise NotBatchableError("it inserts no plain SELECT; write one INSERT for each part of a UNION")
    _refuse_query(query)
    if node.override == pb.OVERRIDING_USER_VALUE:
        raise NotBatchableError("it has OVERRIDING USER VALUE, so that its own key does not tell which rows are there; "
                                "leave the identity column out, and give a unique key")  # fmt: skip
    columns = tuple(tree.unwrap(item).name for item in node.cols)
    if any(tree.unwrap(item).indirection for item in node.cols):
        raise NotBatchableError("it inserts a part of a column; give the whole")
    walkable = _walkable(node)
    if not walkable:
        raise NotBatchableError("its FROM has no table whose rows could be read page by page")
    conflict, has_conflict = _conflict(node)
    guarded = () if has_conflict else _guarded(query, into, columns)
    _refuse_reading_itself(node, into, guarded=bool(guarded))
    if not has_conflict and not guarded:
        raise NotBatchableError(_HOW)
    values = [tree.unwrap(tree.unwrap(item).val) for item in query.target_list]
    try:
        cut_insert(text, walkable[0].location)
    except ValueError:
        raise NotBatchableError("its query is in parentheses or a TABLE; write SELECT … FROM … by itself") from None
    functions = called(tree.unwrap(query.where_clause)) if query.HasField("where_clause") else frozenset()
    computes = frozenset(tree.name(part) for value in values for part in _calls(value))
    choices = []
    for number, relation in enumerate(walkable):
        also_reads = reads(query, relation)
        names = sorted(table for _, table in also_reads - {(into.schemaname or None, into.relname)})
        findings = [f"each batch sees the current contents of {' and '.join(names)}"] if names else []
        findings += [finding for value in values for finding in moving(value)][:1]
        choices.append(BatchedInsert(
            script=script, statement=statement, schema=relation.schemaname or None, table=relation.relname,
            alias=relation.alias.aliasname or relation.relname, only=not relation.inh, functions=functions,
            also_reads=also_reads, findings=tuple(findings), text=text,
            qualifiers=qualifiers(text, node, relation.relname), into=(into.schemaname or None, into.relname),
            computes=computes, calls=tuple(map(calls, values)), index=number, has_alias=bool(relation.alias.aliasname),
            names=columns, conflict=conflict, guarded=guarded,
            **cut_insert(text, relation.location),
        ))  # fmt: skip
    return choices


def _refuse_query(query: Node) -> None:
    for name, words in _FORBIDDEN.items():
        field_ = query.DESCRIPTOR.fields_by_name[name]
        if getattr(query, name) if field_.is_repeated else query.HasField(name):
            raise NotBatchableError(f"it has {words}")
    if any(tree.unwrap(item) is not None for item in query.distinct_clause):
        raise NotBatchableError("it has a DISTINCT ON, whose rows may lie in several batches; DISTINCT alone may stand")
    for part in tree.walk(query):
        if tree.kind(part) == "FuncCall" and (part.HasField("over") or part.agg_star):
            raise NotBatchableError(COUNTS.format(tree.name(part)))


def _walkable(node: Node) -> list[Node]:
    """The tables in the FROM of an INSERT whose rows may be read a part at a time: those that no outer join extends."""
    query = tree.unwrap(node.select_stmt)
    return [part for item in query.from_clause for part in _inner(tree.unwrap(item))]


def _inner(item: Node) -> Iterator[Node]:
    if tree.kind(item) == "RangeVar":
        yield item
    if tree.kind(item) == "JoinExpr":
        sides: Any = {pb.JOIN_INNER: (item.larg, item.rarg), pb.JOIN_LEFT: (item.larg,), pb.JOIN_RIGHT: (item.rarg,)}
        # An alias of the join hides those of its tables.
        for side in sides.get(item.jointype, ()) if not item.alias.aliasname else ():
            yield from _inner(tree.unwrap(side))


def _calls(node: Node) -> Iterator[Node]:
    """The functions that an expression calls, without those of its subqueries."""
    if tree.kind(node) == "SubLink":
        return
    if tree.kind(node) == "FuncCall":
        yield node
    for field_, value in node.ListFields():
        if field_.message_type is not None:
            for below in value if field_.is_repeated else (value,):
                yield from _calls(tree.unwrap(below) if tree.kind(below) == "Node" else below)


def _conflict(node: Node) -> tuple[tuple[str, ...] | str | None, bool]:
    """The columns or the constraint of its ON CONFLICT, and whether it has one."""
    clause = node.on_conflict_clause
    if not node.HasField("on_conflict_clause"):
        return None, False
    if clause.action != pb.ONCONFLICT_NOTHING:
        raise NotBatchableError("it has ON CONFLICT DO UPDATE, and a batch that is repeated would update again; "
                                "write ON CONFLICT DO NOTHING, and an UPDATE in a file of its own")  # fmt: skip
    if clause.infer.conname:
        return clause.infer.conname, True
    elements = [tree.unwrap(item) for item in clause.infer.index_elems]
    if any(not item.name for item in elements) or clause.infer.HasField("where_clause"):
        raise NotBatchableError("its ON CONFLICT names an expression or has a WHERE; name the columns of a unique key")
    return tuple(item.name for item in elements) or None, True


def _guarded(query: Node, into: Node, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that a NOT EXISTS of the WHERE compares with what is inserted into them; empty if there is none."""
    for condition in tree.conjuncts(query.where_clause):
        if tree.kind(condition) != "BoolExpr" or condition.boolop != pb.NOT_EXPR:
            continue
        link = tree.unwrap(condition.args[0])
        if tree.kind(link) != "SubLink" or link.sub_link_type != pb.EXISTS_SUBLINK:
            continue
        inner = tree.unwrap(link.subselect)
        tables = [tree.unwrap(item) for item in inner.from_clause]
        if len(tables) != 1 or tree.kind(tables[0]) != "RangeVar" or tables[0].relname != into.relname:
            continue
        alias = tables[0].alias.aliasname or into.relname
        pairs = [_equal(part, alias) for part in tree.conjuncts(inner.where_clause)]
        names = [pair[0] for pair in pairs if pair and _inserted(query, columns, *pair)]
        if len(names) != len(pairs):
            raise NotBatchableError(
                f"its NOT EXISTS can't be shown to be false for a row that was inserted; compare columns of {into.relname} "
                "with what is inserted into them, each with =, or write ON CONFLICT DO NOTHING"
            )
        return tuple(names)
    return ()


def _equal(condition: Node, alias: str) -> tuple[str, Node] | None:
    """Column and value of alias.column = value."""
    if tree.kind(condition) != "A_Expr" or condition.kind != pb.AEXPR_OP or tree.name(condition) != "=":
        return None
    for side, opposite in ((condition.lexpr, condition.rexpr), (condition.rexpr, condition.lexpr)):
        named = tree.column(tree.unwrap(side))
        value = tree.unwrap(opposite)
        inside = [part for part in tree.walk(value) if (column := tree.column(part)) and column[0][-1:] == (alias,)]
        if named and named[0][-1:] == (alias,) and not inside:
            return named[1], value
    return None


def _inserted(query: Node, columns: Sequence[str], name: str, value: Node) -> bool:
    """Whether the column gets this very value."""
    values = [tree.unwrap(tree.unwrap(item).val) for item in query.target_list]
    if calls(value) & VOLATILE:
        return False
    if name in columns and columns.index(name) < len(values):
        own = values[columns.index(name)]
        if tree.shape(own) == tree.shape(value):
            return True
        first, second = tree.column(own), tree.column(value)
        return bool(first and second and first[1] == second[1] and not (first[0] and second[0]))
    # SELECT *, or no list of columns: by the name alone.
    named = tree.column(value)
    return named is not None and named[1] == name and not columns


def _refuse_reading_itself(node: Node, into: Node, *, guarded: bool) -> None:
    tables = [part for part in tree.walk(node) if tree.kind(part) == "RangeVar" and part.location != into.location]
    again = [part for part in tables if part.relname == into.relname and part.schemaname in ("", into.schemaname)]
    if len(again) > guarded:
        raise NotBatchableError(
            f"it reads {into.relname} besides inserting into it, and other batches will have added rows to it"
        )
