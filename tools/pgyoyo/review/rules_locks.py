"""The rules about locks: which a statement takes, on what, for how long, and what works meanwhile."""

from collections.abc import Iterator

from pgyoyo.review.evidence import Case, Hit, bare_name, family, heads, held, is_or_are, names, strongest

# One try that waits for longer is felt: everybody queues behind it.
LONG_TIMEOUT = 5_000
# What can't name all that it locks: code, and what names an index, whose table is locked.
_UNNAMED = ("drop index", "reindex", "code", "select")


def _held_while_working(case: Case) -> Iterator[Hit]:
    if not (works := case.works) or not case.held:
        return
    lock = max(case.held, key=lambda one: one.strength)
    taker = next(one for one in case.before if one.seen.number == lock.taken)
    if case.asks.any("validate") and lock.relation in case.seen.work.scanned:
        yield "validate-under-lock", f"it reads all of {lock.relation.name} while {held(lock, taker)}", lock.relation
    else:
        yield "lock-held-while-working", f"{case.seen.name} {works} while {held(lock, taker)}", lock.relation


def _held_to_the_end(case: Case) -> Iterator[Hit]:
    for lock in heads(strongest(case.seen.taken)):
        rest = lock.until - case.seen.number
        if rest and all(held.relation != lock.relation or held.strength < lock.strength for held in case.held):
            yield (
                "lock-held-to-the-end",
                f"{lock.mode} on {lock.relation.name} is held across {rest} more statement{'s' * (rest > 1)}, to the COMMIT",
                lock.relation,
            )


def _several_tables(case: Case) -> Iterator[Hit]:
    earlier = {lock.relation for lock in case.held}
    fresh = [lock for lock in case.strong if lock.relation not in earlier]
    named = [lock for lock in fresh if case.names(lock.relation)]
    if earlier and named:
        yield (
            "several-tables-locked",
            f"{named[0].mode} on {named[0].relation.name} while {names(sorted(earlier))} {is_or_are(earlier)} locked",
            named[0].relation,
        )


def _other_table(case: Case) -> Iterator[Hit]:
    if case.asks.any(*_UNNAMED):
        return
    meant = {family(lock.relation) for lock in case.strong if case.names(lock.relation)}
    for lock in case.heads:
        if family(lock.relation) in meant:
            continue
        yield (
            "locks-other-table",
            f"{lock.mode} on {lock.relation.name}, which it doesn't name: {lock.blocks}",
            lock.relation,
        )


def _foreign_key(case: Case) -> Iterator[Hit]:
    asks = case.asks
    if not asks.any("table", "foreign key not valid", "add column foreign key", "add foreign key"):
        return
    for lock in case.strong:
        if (
            lock.mode == "SHARE ROW EXCLUSIVE"
            and case.names(lock.relation)
            and bare_name(lock.relation.name) != asks.target
        ):
            yield "foreign-key-locks-both", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _lock_table(case: Case) -> Iterator[Hit]:
    if case.asks.any("lock"):
        yield from (("lock-table", f"{lock.mode} on {lock.relation.name}", lock.relation) for lock in case.strong)


def _timeout(case: Case) -> Iterator[Hit]:
    limit = case.seen.lock_timeout
    if case.strong and not 0 < limit <= LONG_TIMEOUT:
        lock = case.strong[0]
        how = f"up to {limit / 1000:g} s" if limit else "without a limit"
        yield "no-lock-timeout", f"{lock.mode} on {lock.relation.name} is waited for {how}", lock.relation


def _drop_index(case: Case) -> Iterator[Hit]:
    for lock in case.heads if case.asks.any("drop index") else ():
        yield "drop-index-not-concurrently", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _partition(case: Case) -> Iterator[Hit]:
    if case.asks.any("partition of", "detach partition", "drop table"):
        for lock in case.strong:
            if lock.relation.kind == "partitioned table" and lock.mode == "ACCESS EXCLUSIVE":
                yield "partition-locks-parent", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


LOCKS = (
    _held_while_working, _several_tables, _other_table, _foreign_key, _lock_table, _timeout, _drop_index, _partition,
    _held_to_the_end,
)  # fmt: skip
