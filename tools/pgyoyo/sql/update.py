"""The UPDATE of a backfill file, and the statement that does a batch of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pgyoyo.sql import tree
from pgyoyo.sql.idempotence import Assignments, Premise
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node
from pgyoyo.sql.update_parts import cut, only_added, qualifiers, without

# Built-in functions with another result each time; those that the database adds are looked up there.
VOLATILE = frozenset(
    ("clock_timestamp", "gen_random_uuid", "nextval", "random", "setval", "timeofday", "uuidv4", "uuidv7")
)
_HOW = (
    "a batch may be repeated after a crash, so the WHERE must be false for an updated row, as in "
    "UPDATE t SET c = … WHERE c IS NULL"
)


class RefusedError(ValueError):
    """The statement can't be run in batches without changing what it does; `line` of the file, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RepeatableUpdate:
    """An UPDATE that may be run on any part of its rows, in any order, and again.

    Names are as the catalog has them. `reads` are the columns that its new values use, `functions` those that its
    WHERE calls, `also_reads` the (schema, table) besides its own; its WHERE is false afterwards on the `premise`.
    """

    script: Script = field(repr=False)
    statement: Statement
    schema: str | None
    table: str
    alias: str
    only: bool
    columns: tuple[str, ...]
    reads: frozenset[str]
    functions: frozenset[str]
    also_reads: frozenset[tuple[str | None, str]]
    premise: Premise
    findings: tuple[str, ...]
    # The author's text, cut: "UPDATE", target, "SET …", "FROM …" or nothing, condition.
    head: str = field(repr=False)
    target: str = field(repr=False)
    assignments: str = field(repr=False)
    from_clause: str = field(repr=False)
    condition: str = field(repr=False)
    # The new value, where a single column is set; and the condition to add if that may be NULL.
    value: str = field(default="", repr=False)
    extra: str = field(default="", repr=False)
    # The author's text, and the schemas that qualify its table's columns in it, which a partition's name can't have; bytes.
    text: str = field(default="", repr=False)
    qualifiers: tuple[tuple[int, int], ...] = ()
    # Whether its SET gives a row the same values again, since it reads no column that it sets.
    same_again: bool = True

    @property
    def line(self) -> int:
        """The line of the statement in its file."""
        return self.script.line(self.statement.start)

    def offset_in_author_text(self, offset: int) -> int | None:
        """Where a byte of the batch's statement stands in the author's, from the begin of both; None for what was added.

        Up to the condition both are alike; from there on the batch's has a parenthesis more.
        """
        opening = len((self.head + self.target + self.assignments + self.from_clause).encode()) + 6
        if not 0 <= offset < opening + len(self.condition.encode()):
            return None
        return offset - 2 * (offset > opening)

    @property
    def name(self) -> str:
        """The table's name, quoted, with the schema where the author wrote it."""
        return ".".join(quoted(part) for part in (self.schema, self.table) if part)

    def batch(self, which: str, *, member: str | None = None, waiting: bool) -> str:
        """The author's statement for the rows that satisfy `which`, a condition over {ctid}.

        It waits for locked rows, or, not `waiting`, skips them. `member` is the (quoted) partition to update. Raises
        RefusedError where the parser sees that anything else changed.
        """
        before, after = _form(self, member, waiting)
        return before + which.format(ctid=self.ctid) + after

    def remaining(self, *, member: str | None = None, limit: int | None = None, which: str = "true") -> str:
        """The query for the places of rows that are still to be updated, of those that satisfy `which`."""
        most = "" if limit is None else f" LIMIT {limit}"
        return f"SELECT {self.ctid}::pg_catalog.text FROM{self.rows(member)} AND {which.format(ctid=self.ctid)}{most}"

    def returning_whether_it_stays(self, end: str = "") -> str:
        """What follows a batch to get, for each row, its new `place` and whether the WHERE is still true: it `stays`."""
        bare = self.unqualified()
        return f"\nRETURNING {self.ctid} AS place, ({bare.condition}\n){bare.extra} AS stays{end}"

    def unqualified(self) -> "RepeatableUpdate":
        """The same with its table's columns qualified by the table alone, as they can be where a partition has its name."""
        if not self.qualifiers:
            return self
        text = without(self.text, self.qualifiers)
        location = tree.parse(text).relation.location  # type: ignore[union-attr]  # it was parsed before
        parts: dict[str, Any] = {**cut(text, location), "text": text, "qualifiers": ()}
        bare = replace(self, **parts)
        return replace(bare, extra=f" AND ({bare.value}\n) IS NOT NULL") if self.extra else bare

    def count(self, *, member: str | None = None) -> str:
        """The query for the number of rows that satisfy the author's WHERE."""
        return f"SELECT pg_catalog.count(DISTINCT {self.ctid}) FROM{replace(self, extra='').rows(member)}"

    def examples(self, key: Sequence[str], *, member: str | None = None, limit: int, which: str = "true") -> str:
        """The query for some of these rows: their key (or place), the columns that are set, and the UPDATE's values."""
        own = [f"{quoted(self.alias)}.{quoted(name)}" for name in (*key, *self.columns)]
        new = [f"({value})" for value in self.new_values().values()]
        listed = ", ".join(f"{part}::pg_catalog.text" for part in (*([] if key else [self.ctid]), *own, *new))
        rows = f"{replace(self, extra='').rows(member)} AND {which.format(ctid=self.ctid)}"
        return f"SELECT {listed} FROM{rows} ORDER BY {self.ctid} LIMIT {limit}"

    def new_values(self) -> dict[str, str]:
        """The new value of each column, as the parser writes it; empty where it can't."""
        node = tree.parse(self.unqualified().text)
        items = [tree.unwrap(item) for item in node.target_list] if node is not None else []
        texts = {item.name: tree.text_if_writable(item.val) for item in items}
        return {name: text for name, text in texts.items() if text} if all(texts.values()) else {}

    @property
    def ctid(self) -> str:
        """The row's ctid, as the statement can name it."""
        return quoted(self.alias) + ".ctid"

    def without_nulls(self, nullable: str) -> "RepeatableUpdate":
        """The same for the rows whose new value is not NULL, since the rest has it already; `nullable` is what may be NULL.

        Raises RefusedError if it sets more than one column.
        """
        if len(self.columns) > 1:
            raise RefusedError(
                self.line, f"can't run in batches: {nullable} may be NULL, so the WHERE may stay true for an updated row; "
                f"add AND {nullable} IS NOT NULL to it, or COALESCE to the value")  # fmt: skip
        return replace(self, extra=f" AND ({self.value}\n) IS NOT NULL")

    def table_as(self, member: str | None) -> str:
        """The table with its alias, in the author's words where these name it."""
        return f" ONLY {member} AS {quoted(self.alias)} " if member else self.target

    def rows(self, member: str | None) -> str:
        """FROM and WHERE of a query over the rows to be updated."""
        # A comment may stand at the end of each part.
        own = self.unqualified() if member else self
        joined = f"\n,{own.from_clause[4:]}" if own.from_clause else ""
        return f"{own.table_as(member).rstrip()}{joined}\nWHERE ({own.condition}\n){own.extra}"


@lru_cache
def _form(update: RepeatableUpdate, member: str | None, waiting: bool) -> tuple[str, str]:  # noqa: FBT001 - a key of the cache
    """The text before and after the condition that chooses the rows, checked by the parser."""
    update = update.unqualified() if member else update
    start = update.head + update.table_as(member) + update.assignments + update.from_clause
    before, after = f"{start}WHERE ({update.condition}\n)", ""
    if waiting:
        before += f"{update.extra} AND "
    else:
        before += f" AND {update.ctid} OPERATOR(pg_catalog.=) ANY (ARRAY(\n"
        before += f"SELECT {update.ctid} FROM{update.rows(member)} AND "
        after = f"\nFOR NO KEY UPDATE OF {quoted(update.alias)} SKIP LOCKED))"
    old = tree.parse(update.text)
    new = tree.parse(f"{before}{update.ctid} = '(0,1)'{after}")
    if not only_added(old, new, moved=member is not None, more=bool(update.extra)):
        raise RefusedError(update.line, "its WHERE can't be narrowed so that the parser finds nothing else changed")
    return before, after


def parse_update(script: Script) -> RepeatableUpdate:
    """The UPDATE of a file that holds nothing else; raises RefusedError with the line and the reason."""
    if len(script.statements) != 1:
        extra = script.statements[1:] or script.statements
        line = script.line(extra[0].start) if extra else 1
        what = extra[0].name if extra else "nothing"
        raise RefusedError(
            line, f'{what} in a file with "backfill: batched", which must hold one UPDATE and nothing else'
        )
    [statement] = script.statements
    line = script.line(statement.start)
    text = script.text(statement).decode()
    if statement.kind != "update" and not statement.name.startswith("WITH"):
        raise RefusedError(
            line, f'{statement.name} in a file with "backfill: batched", which must hold one UPDATE and nothing else'
        )
    node = tree.parse(text)
    if tree.kind(node) != "UpdateStmt":
        raise RefusedError(
            line, "not an UPDATE that the parser can read: it has a syntax error, or is too long or too deep; "
            'fix it, or remove "backfill: batched"')  # fmt: skip
    try:
        return _repeatable(script, statement, text, node)
    except _NotRepeatableError as error:
        raise RefusedError(line, f"can't run in batches: {error}") from None


class _NotRepeatableError(Exception):
    """The reason; it gets its line in parse_update."""


def _repeatable(script: Script, statement: Statement, text: str, node: Node) -> RepeatableUpdate:
    relation = node.relation
    alias = relation.alias.aliasname or relation.relname
    sets = _sets(node)
    _refuse_forms(node, relation)
    where = tree.unwrap(node.where_clause)
    premise = Assignments(frozenset((alias,)), sets).make_false(where)
    if premise is None:
        raise _NotRepeatableError(f"its WHERE can't be shown to be false once a row is updated; {_HOW}")
    functions = frozenset(tree.name(part) for part in tree.walk(where) if tree.kind(part) == "FuncCall")
    if volatile := sorted(functions & VOLATILE):
        raise _NotRepeatableError(f"its WHERE calls {volatile[0]}(), which gives another result each time")
    also_reads = frozenset(
        (part.schemaname or None, part.relname)
        for part in tree.walk(node)
        if tree.kind(part) == "RangeVar" and part is not relation and part.location != relation.location
    )
    values = [below for value in sets.values() for below in tree.walk(value)]
    if any(tree.kind(part) == "SetToDefault" for part in values):
        raise _NotRepeatableError("it sets DEFAULT, which may be NULL; write the value")
    reads = frozenset(named[1] for part in values if (named := tree.column(part)))
    own = [named for value in values if (named := tree.column(value)) and (not named[0] or named[0][-1] == alias)]
    update = RepeatableUpdate(
        script=script, statement=statement, schema=relation.schemaname or None, table=relation.relname, alias=alias,
        only=not relation.inh, columns=tuple(sets), reads=reads, functions=functions, also_reads=also_reads, premise=premise,
        text=text, qualifiers=qualifiers(text, node, relation.relname),
        same_again=not any(column in sets for _, column in own),
        findings=tuple(_findings(values, also_reads)), **cut(text, relation.location),
    )  # fmt: skip
    return update if premise.sure else update.without_nulls("its new value")


def _sets(node: Node) -> dict[str, Node]:
    """The columns that it sets, each with its new value."""
    sets = {}
    for item in node.target_list:
        assignment = tree.unwrap(item)
        value = tree.unwrap(assignment.val)
        if assignment.indirection:
            raise _NotRepeatableError(f"it sets a part of {assignment.name}; set the whole column")
        if tree.kind(value) == "MultiAssignRef":
            raise _NotRepeatableError("it sets several columns from one row, (a, b) = …; set each by itself")
        sets[assignment.name] = value
    return sets


def _refuse_forms(node: Node, relation: Node) -> None:
    if relation.catalogname:
        raise _NotRepeatableError("its table's name has a database in it; leave that out")
    if node.HasField("with_clause"):
        raise _NotRepeatableError("it has a WITH; write the query as a subquery")
    if any(field.name.startswith("returning") for field, _ in node.ListFields()):
        raise _NotRepeatableError("it has a RETURNING, whose rows nothing reads; remove it")
    if not node.HasField("where_clause"):
        raise _NotRepeatableError(f"it has no WHERE; {_HOW}")
    for part in tree.walk(node):
        if tree.kind(part) == "CurrentOfExpr":
            raise _NotRepeatableError("WHERE CURRENT OF needs a cursor, and batches have none")
        if tree.kind(part) == "ParamRef":
            raise _NotRepeatableError(f"it has a parameter, ${part.number}; write the value")
        itself = tree.kind(part) == "RangeVar" and part.relname == relation.relname
        if itself and part.location != relation.location:
            raise _NotRepeatableError(
                f"it reads {relation.relname} besides updating it, and other batches will have changed some of its rows"
            )


def _findings(values: list[Node], also_reads: frozenset[tuple[str | None, str]]) -> list[str]:
    findings = []
    if also_reads:
        names = " and ".join(sorted(table for _, table in also_reads))
        findings.append(
            f"each batch sees the current contents of {names}; if several of its rows match, any of them is used"
        )
    called = {tree.name(part) for part in values if tree.kind(part) == "FuncCall"}
    moving = sorted(called & {"now", "transaction_timestamp"})
    moving += ["CURRENT_…"] * any(tree.kind(part) == "SQLValueFunction" for part in values)
    if moving:
        findings.append(f"{moving[0]} differs from batch to batch")
    return findings


def quoted(name: str) -> str:
    """The name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'
