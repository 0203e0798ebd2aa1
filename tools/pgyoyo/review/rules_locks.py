"""The rules about locks: which lock a statement takes, on which table, for how long, and what runs meanwhile."""

from collections.abc import Iterator

from pgyoyo.review.evidence import Evidence, Hit, family, heads, held, is_or_are, lock_hit, names, strongest
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.sheet import Lock, Relation

# Above this one waiting try is felt: every later session queues behind it.
LONG_TIMEOUT = 5_000
# Statements that can't name all they lock: code, and those that name an index, whose table is locked.
_UNNAMED = ("drop index", "reindex", "code", "select")
_FOREIGN_KEYS = ("table", "foreign key not valid", "add column foreign key", "add foreign key")
_PARTITIONS = ("partition of", "attach partition", "detach partition", "detach partition concurrently")
# Statements that lock, and release outside a transaction, table after table.
_ONE_BY_ONE = ("storage", "vacuum", "reindex", "reindex concurrently", "code", "select")
# What is dropped may be used by tables that the statement can't name.
_CASCADES = ("drop function", "drop procedure", "drop routine", "drop type", "drop domain", "drop schema", "drop extension",
             "drop sequence", "drop collation", "drop operator", "drop aggregate", "drop opclass")  # fmt: skip


def _held_while_working(evidence: Evidence) -> Iterator[Hit]:
    if not (works := evidence.works) or not evidence.held:
        return
    lock = max(evidence.held, key=lambda lock: lock.strength)
    if evidence.asks.any("validate"):
        own = [lock for lock in evidence.held if lock.relation in evidence.statement.work.scanned]
        for each in own:
            happens = f"it reads all of {each.relation.name} while {held(each, _taker(evidence, each))}"
            yield "validate-under-lock", happens, each.relation
        if any(each.strength >= lock.strength for each in own):
            return
    happens = f"{evidence.statement.name} {works} while {held(lock, _taker(evidence, lock))}"
    yield "lock-held-while-working", happens, lock.relation


def _taker(evidence: Evidence, lock: Lock) -> Evidence:
    return next(earlier for earlier in evidence.before if earlier.statement.number == lock.taken)


def _held_to_the_end(evidence: Evidence) -> Iterator[Hit]:
    for lock in heads(strongest(evidence.statement.taken)):
        rest = lock.until - evidence.statement.number
        if rest and all(held.relation != lock.relation or held.strength < lock.strength for held in evidence.held):
            yield (
                "lock-held-to-the-end",
                f"{lock.mode} on {lock.relation.name} is held across {rest} more statement{'s' * (rest > 1)}, to the COMMIT",
                lock.relation,
            )


def _several_tables(evidence: Evidence) -> Iterator[Hit]:
    # A partition stands for its table only where that itself is not locked.
    held_first = sorted(evidence.held, key=lambda lock: lock.relation.name == family(lock.relation))
    earlier = {family(lock.relation): lock.relation for lock in held_first}
    asks = evidence.asks
    fresh: dict[str, Lock] = {}
    for lock in evidence.strong:
        if family(lock.relation) not in earlier and (evidence.names(lock.relation) or asks.any(*_CASCADES)):
            fresh.setdefault(family(lock.relation), lock)
    if earlier and fresh:
        lock = next(iter(fresh.values()))
        held_ = heads([Lock(relation, lock.mode, lock.taken, lock.until) for relation in sorted(earlier.values())])
        locked = [lock.relation for lock in held_]
        happens = f"{lock.mode} on {lock.relation.name} while {names(locked)} {is_or_are(locked)} locked"
        yield "several-tables-locked", happens, lock.relation
        return
    if asks.any(*_ONE_BY_ONE, *_PARTITIONS):
        return
    # That a foreign key locks its own table and another is a finding of its own.
    both = asks.any(*_FOREIGN_KEYS)
    tables = [
        lock for lock in fresh.values()
        if lock.relation.kind != "view" and not (both and _own(evidence, lock.relation))
    ]  # fmt: skip
    if len(tables) > 1:
        locked = [lock.relation for lock in tables]
        yield "several-tables-locked", f"{tables[0].mode} on {names(locked)} at once", tables[0].relation


def _unnamed_table(evidence: Evidence) -> Iterator[Hit]:
    if evidence.asks.any(*_UNNAMED):
        return
    named = {family(lock.relation) for lock in evidence.strong if evidence.names(lock.relation)}
    # What an earlier statement has locked as strongly is named there.
    known = {lock.relation: lock.strength for lock in evidence.held}
    for lock in evidence.heads:
        if family(lock.relation) not in named and known.get(lock.relation, -1) < lock.strength:
            happens = f"{lock.mode} on {lock.relation.name}, which the statement doesn't name: {lock.blocks}"
            yield "locks-other-table", happens, lock.relation


def _own(evidence: Evidence, relation: Relation) -> bool:
    """Whether it is the table that the statement is about, a partition of it, or the table that this is a partition of."""
    return evidence.asks.target in (bare_name(relation.name), bare_name(family(relation)))


def _foreign_key(evidence: Evidence) -> Iterator[Hit]:
    asks = evidence.asks
    if not asks.any(*_FOREIGN_KEYS):
        return
    for lock in evidence.heads:
        named = evidence.names(lock.relation) and not _own(evidence, lock.relation)
        # With a DROP CONSTRAINT of the old key beside it the lock on the other table is stronger.
        swaps = lock.mode == "ACCESS EXCLUSIVE" and asks.any("add foreign key", "foreign key not valid")
        if named and (swaps or lock.mode == "SHARE ROW EXCLUSIVE"):
            yield lock_hit("foreign-key-locks-both", lock)


def _lock_table(evidence: Evidence) -> Iterator[Hit]:
    for lock in evidence.strong if evidence.asks.any("lock") else ():
        yield "lock-table", f"{lock.mode} on {lock.relation.name}", lock.relation


def _timeout(evidence: Evidence) -> Iterator[Hit]:
    limit = evidence.statement.lock_timeout
    if evidence.strong and not 0 < limit <= LONG_TIMEOUT:
        lock = evidence.strong[0]
        how = f"waits up to {limit / 1000:g} s" if limit else "waits without a limit"
        yield "no-lock-timeout", f"it {how} for {lock.mode} on {lock.relation.name}", lock.relation


def _drop_index(evidence: Evidence) -> Iterator[Hit]:
    for lock in evidence.heads if evidence.asks.any("drop index") else ():
        yield lock_hit("drop-index-not-concurrently", lock)


def _partition(evidence: Evidence) -> Iterator[Hit]:
    for lock in evidence.strong if evidence.asks.any("partition of", "detach partition", "drop table") else ():
        goes = evidence.asks.any("drop table") and evidence.names(lock.relation)
        if lock.relation.kind == "partitioned table" and lock.mode == "ACCESS EXCLUSIVE" and not goes:
            yield lock_hit("partition-locks-parent", lock)


LOCKS = (
    _held_while_working, _several_tables, _unnamed_table, _foreign_key, _lock_table, _timeout, _drop_index, _partition,
    _held_to_the_end,
)  # fmt: skip
