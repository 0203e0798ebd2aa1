"""One statement of a migration as the rules look at it: what was seen, what it asks for, what came before."""

import re
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field

from pgyoyo.review.sheet import Lock, Relation, Seen
from pgyoyo.sql.intent import Asked

MANY_ROWS = 1_000

_TABLES = frozenset(("table", "partitioned table", "materialized view", "foreign table", "view"))
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
# (rule, what happens, the table that it is about)
Hit = tuple[str, str, Relation | None]


@dataclass(frozen=True, slots=True)
class Case:
    """One statement with what it asks for, among all of its migration."""

    seen: Seen
    asks: Asked
    before: Sequence["Case"]
    renamed: Mapping[str, str] = field(default_factory=dict)  # a relation's first name by the one that it has now

    @property
    def strong(self) -> list[Lock]:
        """The strongest lock on each table that it locks strongly, held already or not."""
        return strongest(self.seen.takes)

    @property
    def held(self) -> list[Lock]:
        """The strongest lock on each table that earlier statements locked strongly."""
        return strongest(self.seen.held)

    @property
    def works(self) -> str | None:
        """What may take long in it, where something was there to work on; None where it is quick however big the tables."""
        work = self.seen.work
        if work.rewritten:
            return f"rewrites {names(work.rewritten)}"
        if work.built:
            return f"builds {names(work.built)}"
        if work.scanned:
            return f"reads all of {names(work.scanned)}"
        return next((f"writes rows: {one}" for one in work.rows if one.count > MANY_ROWS), None)

    def called(self, relation: Relation) -> set[str]:
        """The names, without schemas, that a relation has had in this migration."""
        first = bare_name(relation.name)
        return {first, *(now for now, name in self.renamed.items() if name == first)}

    @property
    def heads(self) -> list[Lock]:
        """The strong locks without those on partitions and children of a table that is locked as strongly."""
        return heads(self.strong)

    def names(self, relation: Relation) -> bool:
        """Whether the statement names it, or what it belongs to; schemas are not compared."""
        bare = {bare_name(relation.name), bare_name(relation.table or "")}
        return not self.asks.names or not bare.isdisjoint(self.asks.names)


def strongest(locks: Sequence[Lock]) -> list[Lock]:
    """Of the strong locks on tables the strongest for each table, in the order given."""
    found: dict[Relation, Lock] = {}
    for lock in locks:
        known = found.get(lock.relation)
        if lock.strong and lock.relation.kind in _TABLES and (known is None or known.strength < lock.strength):
            found[lock.relation] = lock
    return list(found.values())


def heads(locks: Sequence[Lock]) -> list[Lock]:
    """The locks without those on partitions and children of a table that is locked as strongly."""
    known = {lock.relation.name: lock.strength for lock in locks}
    return [lock for lock in locks if known.get(lock.relation.table or "", -1) < lock.strength]


def family(relation: Relation) -> str:
    """The name of the table that it is, or is a partition or child of."""
    return relation.table or relation.name


def held(lock: Lock, taker: Case) -> str:
    """Which lock is held, since where, and what that hinders."""
    return f"{lock.mode} on {lock.relation.name} is held since line {taker.seen.line}, which {lock.blocks}"


def names(relations: Sequence[Relation]) -> str:
    """Their names, for a sentence."""
    return ", ".join(one.name for one in relations)


def is_or_are(things: Sized) -> str:
    """The verb that fits their number."""
    return "are" if len(things) > 1 else "is"


def parts(name: str) -> list[str]:
    """The parts of a name as the server quotes it, without quotes; the whole of one that has none, such as a signature."""
    return [plain or quoted.replace('""', '"') for quoted, plain in _PART.findall(name)] or [name]


def bare_name(name: str) -> str:
    """The last of those parts."""
    return parts(name)[-1]
