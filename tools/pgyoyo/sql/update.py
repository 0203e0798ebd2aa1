"""The one UPDATE of a backfill file, and the statement that does a slice of its rows."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

from pgyoyo.sql import tree
from pgyoyo.sql.idempotence import Rules, Shown
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node

# Built-in functions that give another answer each time; what the database has besides is looked up there.
VOLATILE = frozenset(
    ("clock_timestamp", "gen_random_uuid", "nextval", "random", "setval", "timeofday", "uuidv4", "uuidv7")
)
_HOW = (
    "a batch may come again after a crash, so the WHERE has to be false for a row that is done, as in "
    "UPDATE t SET c = … WHERE c IS NULL"
)


class RefusedError(ValueError):
    """The statement can't be sliced without changing what it means; `line` of the file, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Slice:
    """An UPDATE that may be run on any part of its rows, in any order, and again.

    Names are as the catalog has them. `reads` are columns whose values it takes, `functions` what its WHERE calls,
    `others` the (schema, table) it reads besides its own; `shown` says what makes its WHERE false afterwards.
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
    others: frozenset[tuple[str | None, str]]
    shown: Shown
    findings: tuple[str, ...]
    # The author's text, cut: "UPDATE", target, "SET …", "FROM …" or nothing, condition.
    head: str = field(repr=False)
    target: str = field(repr=False)
    assignments: str = field(repr=False)
    sources: str = field(repr=False)
    condition: str = field(repr=False)
    # The new value, where one column is set; and what has to be asked besides, since it may be NULL.
    value: str = field(default="", repr=False)
    extra: str = field(default="", repr=False)

    @property
    def line(self) -> int:
        """The line of the statement in its file."""
        return self.script.line(self.statement.start)

    @property
    def name(self) -> str:
        """The table as it can stand in SQL and in a sentence."""
        return ".".join(quoted(part) for part in (self.schema, self.table) if part)

    def batch(self, which: str, *, member: str | None = None, waiting: bool) -> str:
        """The statement for the rows that satisfy `which`, a condition over {ctid}; the author's text with that added.

        Rows that somebody has locked are waited for, or, not `waiting`, left for later. `member` is the (quoted) table of
        a partitioned one that is meant. Raises RefusedError where the parser sees that anything else changed.
        """
        before, after = _form(self, member, waiting)
        return before + which.format(ctid=self.ctid) + after

    def remaining(self, *, member: str | None = None, limit: int, which: str = "true") -> str:
        """The query for where rows are that are not done yet, of those that satisfy `which`."""
        return f"SELECT {self.ctid}::text FROM{self.rows(member)} AND {which.format(ctid=self.ctid)} LIMIT {limit}"

    @property
    def ctid(self) -> str:
        """The place of the table's row, as the statement can name it."""
        return quoted(self.alias) + ".ctid"

    def narrowed(self, what: str) -> "Slice":
        """The same for rows only whose new value is not NULL: the others have it already. `what` may be NULL.

        Raises RefusedError where other columns are set besides.
        """
        if len(self.columns) > 1:
            raise RefusedError(
                self.line, f"can't run in batches: {what} may be NULL, so the WHERE may stay true for a row that is done; "
                f"add AND {what} IS NOT NULL to it, or COALESCE to the value")  # fmt: skip
        return replace(self, extra=f" AND ({self.value}\n) IS NOT NULL")

    def table_as(self, member: str | None) -> str:
        """The table with its alias, in the author's words where they mean it."""
        return f" ONLY {member} AS {quoted(self.alias)} " if member else self.target

    def rows(self, member: str | None) -> str:
        """FROM and WHERE of a query over the rows that are to be updated."""
        # A comment may stand at the end of each part.
        sources = f"\n,{self.sources[4:]}" if self.sources else ""
        return f"{self.table_as(member).rstrip()}{sources}\nWHERE ({self.condition}\n){self.extra}"


@lru_cache
def _form(one: Slice, member: str | None, waiting: bool) -> tuple[str, str]:  # noqa: FBT001 - a key of the cache
    """What stands before and behind the condition that chooses the rows; the parser has looked at it."""
    before, after = f"{one.head}{one.table_as(member)}{one.assignments}{one.sources}WHERE ({one.condition}\n)", ""
    if waiting:
        before += f"{one.extra} AND "
    else:
        before += f" AND {one.ctid} = ANY (ARRAY(\nSELECT {one.ctid} FROM{one.rows(member)} AND "
        after = f"\nFOR NO KEY UPDATE OF {quoted(one.alias)} SKIP LOCKED))"
    old, new = tree.parse(one.script.text(one.statement).decode()), tree.parse(f"{before}{one.ctid} = '(0,1)'{after}")
    if not _only_added(old, new, moved=member is not None, more=bool(one.extra)):
        raise RefusedError(one.line, "its WHERE can't be narrowed so that the parser finds nothing else changed")
    return before, after


def _only_added(old: Node, new: Node, *, moved: bool, more: bool) -> bool:
    """Whether new is old with a condition on ctid, or one over rows that old's own conditions choose with that.

    `moved`: it names another table; `more`: it also asks that the new value is not NULL.
    """
    if tree.kind(old) != "UpdateStmt" or tree.kind(new) != "UpdateStmt":
        return False
    given = [tree.shape(one) for one in tree.conjuncts(old.where_clause)]
    found = tree.conjuncts(new.where_clause)
    ours = found[-1]
    if tree.kind(ours) == "A_Expr" and tree.kind(rows := tree.unwrap(ours.rexpr)) == "SubLink":
        rows = tree.unwrap(rows.subselect)
        if [tree.shape(one) for one in found[:-1]] != given:
            return False
        sources = [tree.shape(tree.unwrap(one)) for one in rows.from_clause]
        if sources != [tree.shape(new.relation), *(tree.shape(tree.unwrap(one)) for one in new.from_clause)]:
            return False
        found = tree.conjuncts(rows.where_clause)
    if len(found) != len(given) + 1 + more or [tree.shape(one) for one in found[: len(given)]] != given:
        return False
    for one in (old, new):
        one.ClearField("where_clause")
        if moved:
            one.ClearField("relation")
    return tree.shape(old) == tree.shape(new)


def of(script: Script) -> Slice:
    """The slice that the file's UPDATE makes; raises RefusedError with the line and the reason."""
    if len(script.statements) != 1:
        extra = script.statements[1:] or script.statements
        line = script.line(extra[0].start) if extra else 1
        what = extra[0].name if extra else "nothing"
        raise RefusedError(line, f'{what} in a file with "backfill: batched", which holds one UPDATE and nothing else')
    [statement] = script.statements
    line = script.line(statement.start)
    text = script.text(statement).decode()
    if statement.kind != "update" and not statement.name.startswith("WITH"):
        raise RefusedError(
            line, f'{statement.name} in a file with "backfill: batched", which holds one UPDATE and nothing else'
        )
    node = tree.parse(text)
    if tree.kind(node) != "UpdateStmt":
        raise RefusedError(
            line, "not an UPDATE that the parser can read: it has an error, or is too long or too deep to be sliced; "
            'mend it, or remove "backfill: batched"')  # fmt: skip
    try:
        return _slice(script, statement, text, node)
    except _No as no:
        raise RefusedError(line, f"can't run in batches: {no}") from None


class _No(Exception):  # noqa: N818 - it never leaves this module
    """Why not."""


def _slice(script: Script, statement: Statement, text: str, node: Node) -> Slice:
    relation = node.relation
    alias = relation.alias.aliasname or relation.relname
    sets = _sets(node)
    _refuse_forms(node, relation)
    rules = Rules(frozenset((alias,)), sets)
    where = tree.unwrap(node.where_clause)
    shown = rules.false_after(where)
    if shown is None:
        raise _No(f"its WHERE can't be shown to be false once a row is updated; {_HOW}")
    functions = frozenset(tree.name(one) for one in tree.walk(where) if tree.kind(one) == "FuncCall")
    if volatile := sorted(functions & VOLATILE):
        raise _No(f"its WHERE calls {volatile[0]}(), which gives another answer each time")
    others = frozenset(
        (one.schemaname or None, one.relname)
        for one in tree.walk(node)
        if tree.kind(one) == "RangeVar" and one is not relation and one.location != relation.location
    )
    values = [below for value in sets.values() for below in tree.walk(value)]
    if any(tree.kind(one) == "SetToDefault" for one in values):
        raise _No("it sets DEFAULT, which may be NULL; write the value")
    reads = frozenset(named[1] for one in values if (named := tree.column(one)))
    found = Slice(
        script=script, statement=statement, schema=relation.schemaname or None, table=relation.relname, alias=alias,
        only=not relation.inh, columns=tuple(sets), reads=reads, functions=functions, others=others, shown=shown,
        findings=tuple(_findings(values, others)), **_cut(text, relation.location),
    )  # fmt: skip
    return found if shown.sure else found.narrowed("its new value")


def _sets(node: Node) -> dict[str, Node]:
    """The columns that are set, each with its new value."""
    sets = {}
    for item in node.target_list:
        one = tree.unwrap(item)
        value = tree.unwrap(one.val)
        if one.indirection:
            raise _No(f"it sets a part of {one.name}; set the whole column")
        if tree.kind(value) == "MultiAssignRef":
            raise _No("it sets several columns from one row, (a, b) = …; set each by itself")
        sets[one.name] = value
    return sets


def _refuse_forms(node: Node, relation: Node) -> None:
    if relation.catalogname:
        raise _No("its table's name has a database in it; leave that out")
    if node.HasField("with_clause"):
        raise _No("it has a WITH; put the query where its rows are used")
    if any(field.name.startswith("returning") for field, _ in node.ListFields()):
        raise _No("it has a RETURNING, and nobody would see its rows; remove it")
    if not node.HasField("where_clause"):
        raise _No(f"it has no WHERE; {_HOW}")
    for one in tree.walk(node):
        if tree.kind(one) == "CurrentOfExpr":
            raise _No("WHERE CURRENT OF needs a cursor, and batches have none")
        if tree.kind(one) == "ParamRef":
            raise _No(f"it has a parameter, ${one.number}; write the value")
        itself = tree.kind(one) == "RangeVar" and one.relname == relation.relname
        if itself and one.location != relation.location:
            raise _No(
                f"it reads {relation.relname} besides updating it, and other batches have changed some of its rows"
            )


def _findings(values: list[Node], others: frozenset[tuple[str | None, str]]) -> list[str]:
    found = []
    if others:
        names = " and ".join(sorted(table for _, table in others))
        found.append(f"{names} is read by each batch as it is then; more than one match for a row gives any of them")
    called = {tree.name(one) for one in values if tree.kind(one) == "FuncCall"}
    moving = sorted(called & {"now", "transaction_timestamp"})
    moving += ["CURRENT_…"] * any(tree.kind(one) == "SQLValueFunction" for one in values)
    if moving:
        found.append(f"{moving[0]} differs from batch to batch")
    return found


def _cut(text: str, location: int) -> dict[str, str]:
    """The author's text in its parts; `location` is the byte offset of the table's name."""
    from postgast import pg_query_pb2, scan  # noqa: PLC0415 - slow to import, and status does without

    pb = pg_query_pb2

    data = text.encode()
    places: dict[str, tuple[int, int]] = {}
    depth, before = 0, 0
    for token in scan(text).tokens:
        depth += {pb.ASCII_40: 1, pb.ASCII_91: 1, pb.ASCII_41: -1, pb.ASCII_93: -1}.get(token.token, 0)
        span = (token.start, token.end)
        if depth == 0 and token.token in (pb.SQL_COMMENT, pb.C_COMMENT):
            continue
        if depth == 0 and token.token == pb.UPDATE:
            places.setdefault("update", span)
        if depth == 0 and token.token == pb.SET and token.start > location:
            places.setdefault("set", span)
        if depth == 0 and "set" in places and token.token == pb.FROM and before != pb.DISTINCT:
            places.setdefault("from", span)
        if depth == 0 and "set" in places and token.token == pb.WHERE:
            places.setdefault("where", span)
        if depth == 0 and "set" in places and token.token == pb.ASCII_61:
            places.setdefault("equals", span)
        before = token.token
    start, end = places["set"][0], places["where"][0]
    middle = places.get("from", (end, end))[0]
    return {
        "head": data[: places["update"][1]].decode(),
        "target": data[places["update"][1] : start].decode(),
        "assignments": data[start:middle].decode(),
        "sources": data[middle:end].decode(),
        "condition": data[places["where"][1] :].decode(),
        "value": data[places["equals"][1] : middle].decode(),
    }


def quoted(name: str) -> str:
    """The name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'
