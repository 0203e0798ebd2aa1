"""An UPDATE that can be run on a part of its rows at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postgast import pg_query_pb2 as pb

from pgyoyo.sql import tree
from pgyoyo.sql.batched import Batched, NotBatchableError, RefusedError, called, moving, reads, refuse_forms
from pgyoyo.sql.batched_text import cut_update, qualifiers
from pgyoyo.sql.idempotence import Assignments
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node

_HOW = (
    "a batch may be repeated after a crash, so the WHERE must be false for an updated row, as in "
    "UPDATE t SET c = … WHERE c IS NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedUpdate(Batched):
    """An UPDATE whose WHERE is false for the rows that it has updated; `value` is the new one of a single column.

    `compares` if its WHERE compares a column with what is computed for it, which the column may round.
    """

    VERB = "update"
    DONE = "updated"
    TRIGGER = 16
    RULE = "2"
    LOCK = "FOR NO KEY UPDATE"
    IN_TURNS = True

    value: str = field(default="", repr=False)
    compares: bool = False

    def cut_again(self, text: str) -> Mapping[str, str]:
        """The parts of a text that differs from the author's in what qualifies the columns."""
        parts = cut_update(text, tree.parse(text).relation.location)  # type: ignore[union-attr]  # it was parsed before
        return {**parts, "extra": _not_null(parts["value"])} if self.extra else parts

    def returning_whether_it_stays(self, end: str = "") -> str:
        """What follows a batch to get, for each row, its new `place` and whether the WHERE is still true: it `stays`."""
        bare = self.unqualified()
        stays = f"({bare.condition}\n){bare.extra}"
        if bare.from_clause:
            # Another row of the FROM may match than the one whose values it has.
            stays = f"EXISTS (SELECT {bare.from_clause}\nWHERE {stays})"
        return f"\nRETURNING {self.ctid} AS place, {stays} AS stays{end}"

    def new_values(self) -> dict[str, str]:
        """The new value of each column, as the parser writes it; empty where it can't."""
        node = tree.parse(self.unqualified().text)
        items = [tree.unwrap(item) for item in node.target_list] if node is not None else []
        texts = {item.name: tree.text_if_writable(item.val) for item in items}
        return {name: text for name, text in texts.items() if text} if all(texts.values()) else {}

    def without_nulls(self, nullable: str) -> "BatchedUpdate":
        """The same for the rows whose new value is not NULL, since the rest has it already; `nullable` is what may be NULL.

        Raises RefusedError if it sets more than one column.
        """
        if len(self.columns) > 1:
            raise RefusedError(
                self.line, f"can't run in batches: {nullable} may be NULL, so the WHERE may stay true for an updated row; "
                f"add AND {nullable} IS NOT NULL to it, or COALESCE to the value")  # fmt: skip
        return replace(self, extra=_not_null(self.value))


def batched_update(script: Script, statement: Statement, text: str, node: Node) -> BatchedUpdate:
    """The UPDATE; raises NotBatchableError."""
    relation = node.relation
    alias = relation.alias.aliasname or relation.relname
    sets = _sets(node)
    refuse_forms(node, relation, itself="updating")
    if not node.HasField("where_clause"):
        raise NotBatchableError(f"it has no WHERE; {_HOW}")
    where = tree.unwrap(node.where_clause)
    premise = Assignments(frozenset((alias,)), sets).make_false(where)
    if premise is None:
        raise NotBatchableError(f"its WHERE can't be shown to be false once a row is updated; {_HOW}")
    functions = called(where)
    also_reads = reads(node, relation)
    values = [below for value in sets.values() for below in tree.walk(value)]
    if any(tree.kind(part) == "SetToDefault" for part in values):
        raise NotBatchableError("it sets DEFAULT, which may be NULL; write the value")
    own = [named for value in values if (named := tree.column(value)) and (not named[0] or named[0][-1] == alias)]
    update = BatchedUpdate(
        script=script, statement=statement, schema=relation.schemaname or None, table=relation.relname, alias=alias,
        only=not relation.inh, columns=tuple(sets), functions=functions, also_reads=also_reads, premise=premise,
        text=text, qualifiers=qualifiers(text, node, relation.relname),
        adds_up="its SET reads what it sets" if any(column in sets for _, column in own) else "",
        compares=any(tree.kind(part) == "A_Expr" and _is_unequal(part) for part in tree.walk(where)),
        findings=tuple(_findings(sets, also_reads)), **cut_update(text, relation.location),
    )  # fmt: skip
    return update if premise.sure else update.without_nulls("its new value")


def _not_null(value: str) -> str:
    """A condition to add; of a row with a NULL in it, IS NOT NULL would not be true."""
    return f" AND ({value}\n) IS DISTINCT FROM NULL"


def _is_unequal(node: Node) -> bool:
    """Whether it is c IS DISTINCT FROM x or c <> x, and x no constant."""
    sides = [tree.kind(tree.unwrap(side)) for side in (node.lexpr, node.rexpr)]
    return (node.kind == pb.AEXPR_DISTINCT or tree.name(node) in ("<>", "!=")) and "A_Const" not in sides


def _sets(node: Node) -> dict[str, Node]:
    """The columns that it sets, each with its new value."""
    sets = {}
    for item in node.target_list:
        assignment = tree.unwrap(item)
        value = tree.unwrap(assignment.val)
        if assignment.indirection:
            raise NotBatchableError(f"it sets a part of {assignment.name}; set the whole column")
        if tree.kind(value) == "MultiAssignRef":
            raise NotBatchableError("it sets several columns from one row, (a, b) = …; set each by itself")
        sets[assignment.name] = value
    return sets


def _findings(sets: Mapping[str, Node], also_reads: frozenset[tuple[str | None, str]]) -> Sequence[str]:
    findings = []
    if also_reads:
        names = " and ".join(sorted(table for _, table in also_reads))
        findings.append(
            f"each batch sees the current contents of {names}; if several of its rows match, any of them is used"
        )
    seen: list[Any] = [finding for value in sets.values() for finding in moving(value)]
    return [*findings, *seen[:1]]
