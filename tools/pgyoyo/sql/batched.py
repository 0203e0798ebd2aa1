"""A statement that can be run on a part of its rows at a time, and the statement that does one batch of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, Self

from pgyoyo.identifiers import qualified, quoted
from pgyoyo.sql import tree
from pgyoyo.sql.batched_text import only_added, without
from pgyoyo.sql.idempotence import Premise
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node

# Built-in functions with another result each time; those that the database adds are looked up there.
VOLATILE = frozenset(
    ("clock_timestamp", "gen_random_uuid", "nextval", "random", "setval", "timeofday", "uuidv4", "uuidv7")
)


# What gives the time of the transaction, and what the parser has a word of its own for, as CURRENT_TIMESTAMP.
TIMES = frozenset(("now", "statement_timestamp", "transaction_timestamp", "CURRENT_…"))


class RefusedError(ValueError):
    """The statement can't be run in batches without changing what it does; `line` of the file, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class NotBatchableError(Exception):
    """The reason; it gets its line where the file is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batched(ABC):
    """A statement that may be run on any part of its rows, in any order, and again.

    Its rows are those of one table, which is walked page by page: `schema`, `table` and `alias` name it, as the catalog has
    them. `functions` are the (schema, name) that its WHERE calls, operators too, `also_reads` the (schema, table) besides;
    its WHERE is false for a row that is done on the `premise`.
    """

    # What it does to a row, and its bit in pg_trigger.tgtype (catalog/pg_trigger.h) and letter in pg_rewrite.ev_type.
    VERB: ClassVar[str]
    DONE: ClassVar[str]
    TRIGGER: ClassVar[int]
    RULE: ClassVar[str]
    # How it locks the rows of a batch that passes over those that are locked; empty where it locks none.
    LOCK: ClassVar[str]
    # Whether it makes room in the pages that it has done, so that several turns through them gain something.
    IN_TURNS: ClassVar[bool] = False

    script: Script = field(repr=False)
    statement: Statement
    schema: str | None
    table: str
    alias: str
    only: bool
    functions: frozenset[tuple[str | None, str]]
    also_reads: frozenset[tuple[str | None, str]]
    premise: Premise = field(default_factory=Premise)
    findings: tuple[str, ...] = ()
    # The author's text, cut: up to the table's name, the name, "SET …", "FROM …" or "USING …", condition, "ON CONFLICT …".
    text: str = field(repr=False)
    head: str = field(repr=False)
    target: str = field(repr=False)
    assignments: str = field(default="", repr=False)
    from_clause: str = field(default="", repr=False)
    condition: str = field(default="", repr=False)
    tail: str = field(default="", repr=False)
    # A condition to add; and the schemas that qualify its table's columns, which a partition's name can't have; bytes.
    extra: str = field(default="", repr=False)
    qualifiers: tuple[tuple[int, int], ...] = ()
    # The columns that it sets, and why a row would get other values when it is done again, if it would.
    columns: tuple[str, ...] = ()
    adds_up: str = ""

    @property
    def line(self) -> int:
        """The line of the statement in its file."""
        return self.script.line(self.statement.start)

    @property
    def name(self) -> str:
        """The name of the table that is walked, quoted, with the schema where the author wrote it."""
        return qualified(self.schema, self.table)

    @property
    def written(self) -> str:
        """The name of the table that is written to, likewise."""
        return self.name

    @property
    def ctid(self) -> str:
        """The row's ctid, as the statement can name it."""
        return quoted(self.alias) + ".ctid"

    def offset_in_author_text(self, offset: int) -> int | None:
        """Where a byte of the batch's statement stands in the author's, from the begin of both; None for what was added.

        Up to the condition both are alike; from there on the batch's has a parenthesis more.
        """
        before = len((self.head + self.target + self.assignments + self.from_clause).encode())
        opening = before + 6 if self.condition else before
        if not 0 <= offset < opening + len(self.condition.encode()):
            return None
        return offset - 2 * (offset > opening)

    def batch(self, which: str, *, member: str | None = None, waiting: bool) -> str:
        """The author's statement for the rows that satisfy `which`, a condition over {ctid}.

        It waits for locked rows, or, not `waiting`, skips them. `member` is the (quoted) partition to walk. Raises
        RefusedError where the parser sees that anything else changed.
        """
        before, after = _form(self, member, waiting or not self.LOCK)
        return before + which.format(ctid=self.ctid) + after

    def remaining(self, *, member: str | None = None, limit: int | None = None, which: str = "true") -> str:
        """The query for the places of rows that are still to be done, of those that satisfy `which`."""
        most = "" if limit is None else f" LIMIT {limit}"
        return f"SELECT {self.ctid}::pg_catalog.text FROM{self.rows(member)} AND {which.format(ctid=self.ctid)}{most}"

    def count(self, *, member: str | None = None) -> str:
        """The query for the number of rows that satisfy the author's WHERE."""
        return f"SELECT pg_catalog.count(DISTINCT {self.ctid}) FROM{replace(self, extra='').rows(member)}"

    def examples(self, key: Sequence[str], *, member: str | None = None, limit: int, which: str = "true") -> str:
        """The query for some of these rows: their key (or place), the columns that are set, and their new values."""
        own = [f"{quoted(self.alias)}.{quoted(name)}" for name in (*key, *self.columns)]
        new = [f"({value})" for value in self.new_values().values()]
        listed = ", ".join(f"{part}::pg_catalog.text" for part in (*([] if key else [self.ctid]), *own, *new))
        rows = f"{replace(self, extra='').rows(member)} AND {which.format(ctid=self.ctid)}"
        return f"SELECT {listed} FROM{rows} ORDER BY {self.ctid} LIMIT {limit}"

    def new_values(self) -> dict[str, str]:
        """The new value of each column that is set, as the parser writes it; empty where it can't."""
        return {}

    def unqualified(self) -> Self:
        """The same with its table's columns qualified by the table alone, as they can be where a partition has its name."""
        if not self.qualifiers:
            return self
        text = without(self.text, self.qualifiers)
        parts: dict[str, Any] = {**self.cut_again(text), "text": text, "qualifiers": ()}
        return replace(self, **parts)

    @abstractmethod
    def cut_again(self, text: str) -> Mapping[str, str]:
        """The parts of a text that differs from the author's in what qualifies the columns."""

    def table_as(self, member: str | None) -> str:
        """The table with its alias, in the author's words where these name it."""
        return f" ONLY {member} AS {quoted(self.alias)} " if member else self.target

    def rows(self, member: str | None) -> str:
        """FROM and WHERE of a query over the rows to be done."""
        # A comment may stand at the end of each part.
        own = self.unqualified() if member else self
        return f"{own.sources(member)}\nWHERE ({own.condition or 'true'}\n){own.extra}"

    def sources(self, member: str | None) -> str:
        """What follows FROM in a query over the rows: the table, and those that are joined to it."""
        return self.table_as(member).rstrip() + (f"\n,{self.from_clause.lstrip()[4:]}" if self.from_clause else "")


@lru_cache
def _form(slice_: Batched, member: str | None, waiting: bool) -> tuple[str, str]:  # noqa: FBT001 - a key of the cache
    """The text before and after the condition that chooses the rows, checked by the parser."""
    own = slice_.unqualified() if member else slice_
    before = own.head + own.table_as(member) + own.assignments + own.from_clause
    before += f"WHERE ({own.condition}\n)" if own.condition else "\nWHERE true"
    after = f"\n{own.tail}" if own.tail else ""
    if waiting:
        before += f"{own.extra} AND "
    else:
        before += f" AND {own.ctid} OPERATOR(pg_catalog.=) ANY (ARRAY(\n"
        before += f"SELECT {own.ctid} FROM{own.rows(member)} AND "
        after = f"\n{own.LOCK} OF {quoted(own.alias)} SKIP LOCKED)){after}"
    old = tree.parse(own.text)
    new = tree.parse(f"{before}{own.ctid} = '(0,1)'{after}")
    if not only_added(old, new, moved=own.alias if member else "", more=bool(own.extra)):
        raise RefusedError(own.line, "its WHERE can't be narrowed so that the parser finds nothing else changed")
    return before, after


def reads(node: Node, relation: Node) -> frozenset[tuple[str | None, str]]:
    """The (schema, table) that a statement names besides one of its tables."""
    return frozenset(
        (part.schemaname or None, part.relname)
        for part in tree.walk(node)
        if tree.kind(part) == "RangeVar" and part is not relation and part.location != relation.location
    )


def called(node: Node) -> frozenset[tuple[str | None, str]]:
    """Schema, if it is written, and name of each function and operator that an expression calls.

    Raises NotBatchableError for a built-in one that is volatile.
    """
    if volatile := sorted(calls(node) & VOLATILE):
        raise NotBatchableError(f"its WHERE calls {volatile[0]}(), which gives another result each time")
    parts = list(tree.walk(node))
    named = [part.funcname for part in parts if tree.kind(part) == "FuncCall"]
    named += [part.name for part in parts if tree.kind(part) == "A_Expr"]
    texts = [[tree.unwrap(name).sval for name in names] for names in named]
    return frozenset((names[-2] if len(names) > 1 else None, names[-1]) for names in texts)


def refuse_forms(node: Node, relation: Node, *, itself: str) -> None:
    """Raises NotBatchableError for what no statement may have; `itself` is what it does besides reading its own table."""
    if relation.catalogname:
        raise NotBatchableError("its table's name has a database in it; leave that out")
    if node.HasField("with_clause"):
        raise NotBatchableError("it has a WITH; write the query as a subquery")
    if any(field.name.startswith("returning") for field, _ in node.ListFields()):
        raise NotBatchableError("it has a RETURNING, whose rows nothing reads; remove it")
    for part in tree.walk(node):
        if tree.kind(part) == "CurrentOfExpr":
            raise NotBatchableError("WHERE CURRENT OF needs a cursor, and batches have none")
        if tree.kind(part) == "ParamRef":
            raise NotBatchableError(f"it has a parameter, ${part.number}; write the value")
        again = tree.kind(part) == "RangeVar" and part.relname == relation.relname
        if itself and again and part.location != relation.location:
            raise NotBatchableError(
                f"it reads {relation.relname} besides {itself} it, and other batches will have changed some of its rows"
            )


def calls(node: Node) -> frozenset[str]:
    """The names of the functions that an expression calls, those of its subqueries too."""
    parts = list(tree.walk(node))
    names = {tree.name(part) for part in parts if tree.kind(part) == "FuncCall"}
    return frozenset(names | {"CURRENT_…" for part in parts if tree.kind(part) == "SQLValueFunction"})


def moving(node: Node) -> list[str]:
    """A finding where an expression has the time of its transaction in it."""
    times = sorted(calls(node) & TIMES, reverse=True)
    return [f"{times[0]} differs from batch to batch"] if times else []
