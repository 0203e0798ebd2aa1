"""A DELETE that can be run on a part of its rows at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

from pgyoyo.sql import tree
from pgyoyo.sql.batched import Batched, NotBatchableError, called, moving, reads, refuse_forms
from pgyoyo.sql.batched_text import cut_delete, qualifiers
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedDelete(Batched):
    """A DELETE; a row that is done is gone, so that any part of it may be repeated."""

    VERB = "delete"
    DONE = "deleted"
    TRIGGER = 8
    RULE = "4"
    LOCK = "FOR UPDATE"

    def cut_again(self, text: str) -> Mapping[str, str]:
        """The parts of a text that differs from the author's in what qualifies the columns."""
        return cut_delete(text)

    def sources(self, member: str | None) -> str:
        """What follows FROM in a query over the rows: the table, and those that USING names."""
        using = f"\n,{self.from_clause.lstrip()[5:]}" if self.from_clause else ""
        return self.table_as(member).rstrip() + using


def batched_delete(script: Script, statement: Statement, text: str, node: Node) -> BatchedDelete:
    """The DELETE; raises NotBatchableError."""
    relation = node.relation
    refuse_forms(node, relation, itself="deleting from")
    if not node.HasField("where_clause"):
        raise NotBatchableError("it has no WHERE; TRUNCATE empties a table at once")
    where = tree.unwrap(node.where_clause)
    also_reads = reads(node, relation)
    findings = moving(where)
    if also_reads:
        names = " and ".join(sorted(table for _, table in also_reads))
        findings.insert(0, f"each batch sees the current contents of {names}")
    return BatchedDelete(
        script=script, statement=statement, schema=relation.schemaname or None, table=relation.relname,
        alias=relation.alias.aliasname or relation.relname, only=not relation.inh, functions=called(where),
        also_reads=also_reads, findings=tuple(findings), text=text, qualifiers=qualifiers(text, node, relation.relname),
        **cut_delete(text),
    )  # fmt: skip
