"""One statement as the rules judge it: what was observed, what its SQL asks for, and the statements before it."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace

from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.sheet import Lock, ObservedStatement, Relation, Work
from pgyoyo.sql.intent import Intent

MANY_ROWS = 1_000

_TABLES = frozenset(("table", "partitioned table", "materialized view", "foreign table", "view"))
# (rule, what happens, the table it happens to)
Hit = tuple[str, str, Relation | None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One statement, what it asks for, and the evidence of the statements before it.

    `renamed` maps the present name of a relation to the name it had before the migration.
    """

    statement: ObservedStatement
    asks: Intent
    before: Sequence["Evidence"]
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def strong(self) -> list[Lock]:
        """The strongest lock on each table that it locks strongly, held already or not."""
        return strongest(self.statement.takes)

    @property
    def held(self) -> list[Lock]:
        """The strongest lock on each table that earlier statements locked strongly."""
        return strongest(self.statement.held)

    @property
    def heads(self) -> list[Lock]:
        """The strong locks without those on partitions and children of a table that is locked as strongly."""
        return heads(self.strong)

    @property
    def works(self) -> str | None:
        """Its work that takes longer on a bigger table, as a phrase; None where there is none."""
        work = self.statement.work
        if work.rewritten:
            return f"rewrites {names(work.rewritten)}"
        if work.built:
            return f"builds {names(work.built)}"
        if work.scanned:
            return f"reads all of {names(work.scanned)}"
        # Of a big table that is a sample of 30,000 pages, from all over it.
        if self.asks.any("vacuum") and (
            sampled := [lock.relation for lock in self.statement.takes if _is_sampled(lock)]
        ):
            return f"reads a sample of {names(sampled)}"
        return next((f"writes rows: {rows}" for rows in work.rows if rows.count > MANY_ROWS), None)

    def called(self, relation: Relation) -> set[str]:
        """The names, without schemas, that a relation has had in this migration."""
        first = bare_name(relation.name)
        return {first, *(now for now, name in self.renamed.items() if name == first)}

    def names(self, relation: Relation) -> bool:
        """Whether the statement names the relation or its table; schemas are not compared."""
        bare = {bare_name(name) for name in (relation.name, relation.table) if name}
        return not self.asks.names or not bare.isdisjoint(self.asks.names)


def still_empty(before: Sequence[ObservedStatement]) -> frozenset[str]:
    """The names of the tables that a TRUNCATE emptied and no later statement wrote to: nothing takes long on them.

    Only while its lock is held, which is to be seen from the statement that it is asked for.
    """
    names: set[str] = set()
    for statement in before if any(each.work.emptied for each in before) else ():
        if statement.name.upper().startswith("ROLLBACK"):  # to a savepoint, and the rows are back
            names.clear()
        names |= {table.name for table in statement.work.emptied}
        if statement.work.emptied:  # a partitioned table has no file of its own
            taken = [lock.relation for lock in statement.takes if lock.mode == "ACCESS EXCLUSIVE"]
            names |= {relation.name for relation in taken if relation.kind == "partitioned table"}
        # Code may do both: what comes first is not to be seen.
        names -= {lock.relation.name for lock in statement.takes if lock.mode == "ROW EXCLUSIVE"}
    return frozenset(names)


def only_own(work: Work, locks: Iterable[Lock]) -> Work:
    """The work without what could not be measured of tables that only other statements of the file lock."""
    own = {lock.relation for lock in locks} if work.unmeasured else set()
    return replace(work, unmeasured=tuple(table for table in work.unmeasured if table in own))


def without_empty(work: Work, empty: Collection[str]) -> Work:
    """The work without what is done to tables of these names."""
    if not empty:
        return work
    return replace(
        work,
        rewritten=tuple(table for table in work.rewritten if table.name not in empty),
        built=tuple(index for index in work.built if index.table not in empty),
        scanned=tuple(table for table in work.scanned if table.name not in empty),
    )


def _is_sampled(lock: Lock) -> bool:
    return lock.mode == "SHARE UPDATE EXCLUSIVE" and lock.relation.existed and "index" not in lock.relation.kind


def strongest(locks: Sequence[Lock]) -> list[Lock]:
    """Of the strong locks on tables the strongest for each table, in the order given."""
    strongest: dict[Relation, Lock] = {}
    for lock in locks:
        known = strongest.get(lock.relation)
        if lock.strong and lock.relation.kind in _TABLES and (known is None or known.strength < lock.strength):
            strongest[lock.relation] = lock
    return list(strongest.values())


def heads(locks: Sequence[Lock]) -> list[Lock]:
    """The locks without those on partitions and children of a table that is locked as strongly."""
    known = {lock.relation.name: lock.strength for lock in locks}
    return [lock for lock in locks if known.get(lock.relation.table or "", -1) < lock.strength]


def family(relation: Relation) -> str:
    """The name of its parent table, or its own."""
    return relation.table or relation.name


def lock_hit(rule: str, lock: Lock) -> Hit:
    """A hit of a rule on a lock: SHARE on t: blocks writes."""
    return rule, f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def held(lock: Lock, taker: Evidence) -> str:
    """ACCESS EXCLUSIVE on t is held since line 5, which blocks reads and writes."""
    return f"{lock.mode} on {lock.relation.name} is held since line {taker.statement.line}, which {lock.blocks}"


def names(relations: Sequence[Relation]) -> str:
    """Their names, with commas."""
    return ", ".join(relation.name for relation in relations)


def is_or_are(things: Sized) -> str:
    """The verb that fits their number."""
    return "are" if len(things) > 1 else "is"
