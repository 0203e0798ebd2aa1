"""The rules about sequences, and about columns that an INSERT could leave out while they had one, or another default."""

from collections.abc import Iterator, Sequence

from pgyoyo.review.catalog_facts import Facts, SequenceFacts, Table
from pgyoyo.review.commands import calls, enum, literal
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, maker
from pgyoyo.review.relation_names import is_called, parts
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

# Where a value comes from that is no less than those that were given.
_LOOKS = {1: ("max", "greatest", "nextval"), -1: ("min", "least", "nextval")}


def restarts(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Sequences that are set to a value whatever they gave before, but for those of tables that are emptied."""
    emptied = {table.name for each in evidence for table in each.statement.work.emptied}
    for each, node in each_command(evidence):
        for sequence, at in _set(node, facts):
            if any(_name(facts, table) in emptied for table, _ in sequence.feeds):
                continue
            if isinstance(at, str):
                what = f"sequence {sequence.name} begins again at {at or 'its START value'}, whatever it gave before"
            elif not _looks(at, sequence.step):
                what = f"sequence {sequence.name} is set to a value that does not depend on what it gave before"
            else:
                continue
            tables = {table for table, _ in sequence.feeds}
            yield each, ("sequence-restarts", what, facts.relation(tables.pop()) if len(tables) == 1 else None)


def _set(node: Node, facts: Facts) -> Iterator[tuple[SequenceFacts, str | Node]]:
    """The sequences that a command sets, each with the value as a text, or the expression that gives it."""
    kind, known = tree.kind(node), facts.before.sequences.values()
    if kind == "AlterSeqStmt":
        names = [name for name in (node.sequence.schemaname, node.sequence.relname) if name]
        yield from _restarted(node.options, [each for each in known if parts(each.name)[-len(names) :] == names][:1])
    if kind == "AlterTableStmt" and (table := facts.existing(node.relation)):
        for command in (item.alter_table_cmd for item in node.cmds):
            if enum(command, "subtype") == "AT_SetIdentity":
                number = next((n for n, column in table.columns.items() if column.name == command.name), 0)
                fed = [each for each in known if (table.oid, number) in each.feeds]
                yield from _restarted(getattr(command, "def").list.items, fed)
    for name, call in calls(node):
        if name == "setval" and len(call.args) >= 2 and (sequence := _named(call.args[0], facts)):
            value = tree.unwrap(call.args[1])
            at = literal(value)
            yield sequence, at if at is not None else value


def _restarted(options: Sequence[Node], sequences: Sequence[SequenceFacts]) -> Iterator[tuple[SequenceFacts, str]]:
    values = (_value(item.def_elem) for item in options if item.def_elem.defname == "restart")
    return ((each, value) for value in values for each in sequences)


def _named(node: Node, facts: Facts) -> SequenceFacts | None:
    """The sequence that an argument of setval names, also as that of a column."""
    known = facts.before.sequences.values()
    for name, call in calls(node):
        if name == "pg_get_serial_sequence" and len(call.args) == 2:
            table, column = map(literal, call.args)
            return next((each for each in known if _feeds(each, table or "", column, facts)), None)
    text = literal(node)
    return next((each for each in known if text and is_called(each.name, text)), None)


def _feeds(sequence: SequenceFacts, table: str, column: str | None, facts: Facts) -> bool:
    tables = facts.before.tables
    return any(
        oid in tables and is_called(tables[oid].name, table) and tables[oid].columns[number].name == column
        for oid, number in sequence.feeds
    )


def _value(option: Node) -> str:
    value = tree.unwrap(option.arg)
    return "" if value is None else str(getattr(value, "ival", "") or getattr(value, "fval", "0"))


def _looks(value: Node, step: int) -> bool:
    """Whether an expression looks at what was given; one that can't be judged counts, but for the number of rows."""
    names = {name for name, _ in calls(value)}
    words = repr(tree.shape(value))
    if names & set(_LOOKS[1 if step > 0 else -1]) or "MinMaxExpr" in words:
        return True
    return not names & {"count", "max", "min"} and ("ColumnRef" in words or bool(names))


def _name(facts: Facts, table: int) -> str:
    return facts.before.tables[table].name if table in facts.before.tables else ""


def counts_otherwise(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Sequences with another step, that begin again at their end, or that end sooner."""
    for oid, was in facts.before.sequences.items():
        if now := facts.after.sequences.get(oid):
            for what in _otherwise(was, now):
                yield maker(evidence, was.name), ("sequence-counts-otherwise", f"sequence {was.name} {what}", None)


def _otherwise(was: SequenceFacts, now: SequenceFacts) -> Iterator[str]:
    if was.step != now.step:
        yield f"counts by {now.step}, and by {was.step} before"
    if now.cycle and not was.cycle:
        yield "begins again at its end, with values that it gave before"
    if was.step > 0 and now.most < was.most:
        yield f"ends at {now.most}, and at {was.most} before"
    if was.step < 0 and now.least > was.least:
        yield f"ends at {now.least}, and at {was.least} before"


def dropped(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Sequences that are gone, though their column is not, and has no other one."""
    there = {sequence.name for sequence in facts.after.sequences.values()}
    for oid, was in facts.before.sequences.items():
        if oid in facts.after.sequences or was.name in there:
            continue
        columns = [
            facts.after.tables[table].columns.get(number) for table, number in was.feeds if table in facts.after.tables
        ]
        if was.feeds and all(column is None or column.counted for column in columns):
            continue
        each = next((each for each in evidence if _drops(each, was.name)), maker(evidence, was.name))
        yield each, ("drop-sequence", f"sequence {was.name} is dropped", None)


def defaults(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Columns that an INSERT has to name from now on."""
    for was, now in facts.kept:
        if was.partition or was.kind.endswith("view"):
            continue
        for number, column in now.columns.items():
            before = was.columns.get(number)
            if before is None or not before.given or column.given:
                continue
            if column.required:
                what = f"column {column.name} of {was.name} is NOT NULL and has no default any more"
            elif before.counted:
                what = f"column {column.name} of {was.name} is no longer filled from a sequence: left out, it is NULL"
            else:
                continue
            yield _of_column(evidence, was, column.name), ("drop-default", what, facts.relation(was.oid))


def _of_column(evidence: Sequence[Evidence], table: Table, column: str) -> Evidence:
    """The statement that changes the column, or drops the sequence that gave it its values."""
    identity = f"{table.name}.{column}"
    for each in evidence:
        if any(change.identity.replace('"', "") == identity.replace('"', "") for change in each.statement.changes):
            return each
    return maker(evidence, table.name)


def _drops(each: Evidence, name: str) -> bool:
    return any(c.kind == "sequence" and c.identity == name and c.after is None for c in each.statement.changes)


SEQUENCES = (restarts, counts_otherwise, dropped, defaults)
