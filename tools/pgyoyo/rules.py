"""The measured findings: what was seen of each statement, held against the rules."""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass

from pgyoyo.causes import Asked, asked
from pgyoyo.migration import File
from pgyoyo.rulebook import rulebook
from pgyoyo.sheet import FAILED, Finding, Lock, Relation, Seen

# One try that waits for longer is felt: everybody queues behind it.
LONG_TIMEOUT = 5_000
MANY_ROWS = 1_000

_TABLES = frozenset(("table", "partitioned table", "materialized view", "foreign table", "view"))
# Why a statement rewrites a table, or reads all of it, under a lock that it takes; the first that fits counts.
_REWRITES = (
    ("add-serial-column", ("add column serial", "add column identity", "identity")),
    ("add-stored-column", ("add column generated",)),
    ("change-column-type", ("column type",)),
    ("volatile-default", ("add column default", "add column")),
    ("rewrite-storage", ("storage",)),
)
_SCANS = (
    ("index-not-concurrently", ("index",)),
    ("reindex-not-concurrently", ("reindex",)),
    ("unique-builds-index", ("add unique", "add primary key", "add column unique", "add column primary key")),
    ("exclusion-constraint", ("add exclusion",)),
    ("primary-key-sets-not-null", ("add primary key using index",)),
    ("check-scans", ("add check", "add column check")),
    ("set-not-null-scans", ("set not null", "add not null")),
    ("foreign-key-scans", ("add foreign key", "add column foreign key")),
    ("domain-constraint-scans", ("domain constraint",)),
    ("attach-partition-scans", ("attach partition", "partition of")),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One statement with what it asks for, among all of its migration."""

    seen: Seen
    asks: Asked
    before: Sequence["Case"]

    @property
    def strong(self) -> list[Lock]:
        """The strongest lock on each table that it locks strongly, held already or not."""
        return _strongest(self.seen.takes)

    @property
    def held(self) -> list[Lock]:
        """The strongest lock on each table that earlier statements locked strongly."""
        return _strongest(self.seen.held)

    @property
    def works(self) -> str | None:
        """What may take long in it, where something was there to work on; None where it is quick however big the tables."""
        work = self.seen.work
        if work.rewritten:
            return f"rewrites {_names(work.rewritten)}"
        if work.built:
            return f"builds {_names(work.built)}"
        if self.asks.any("update", "delete", "code", "refresh", "into") or any(
            one.count > MANY_ROWS for one in work.rows
        ):
            return "reads all of " + _names(work.scanned) if work.scanned else "may take long"
        return f"reads all of {_names(work.scanned)}" if work.scanned else None

    def names(self, relation: Relation) -> bool:
        """Whether the statement names it, or what it belongs to; schemas are not compared."""
        bare = {_bare(relation.name), _bare(relation.table or "")}
        return not self.asks.names or not bare.isdisjoint(self.asks.names)


# (rule, what happens, the table that it is about)
Hit = tuple[str, str, Relation | None]


def findings(file: File, statements: Sequence[Seen], invalid: Sequence[Relation]) -> list[Finding]:
    """What is wrong with a migration, statement by statement, then as a whole."""
    cases: list[Case] = []
    for seen in statements:
        cases.append(Case(seen, asked(seen.sql.encode()), tuple(cases)))
    batched = file.header.backfill is not None
    found = [
        _finding(file, case.seen, hit) for case in cases for rule in _RULES for hit in rule(case)
        if not (batched and hit[0] == "update-not-batched")
    ]  # fmt: skip
    for relation in invalid:
        makers = [seen for seen in statements if _bare(relation.name) in asked(seen.sql.encode()).names or
                  any(change.identity == relation.name for change in seen.changes)]  # fmt: skip
        seen = makers[0] if makers else statements[-1]
        found.append(_finding(file, seen, ("invalid-index", f"{relation.name} is left invalid", relation)))
    return found


# --- The rules ---


def _fails(case: Case) -> Iterator[Hit]:
    if case.seen.state == FAILED:
        rule = "enum-value-used-at-once" if case.seen.sqlstate == "55P04" else "statement-fails"
        yield rule, case.seen.error or "it fails", None


def _held_while_working(case: Case) -> Iterator[Hit]:
    if not (works := case.works) or not case.held:
        return
    lock = max(case.held, key=lambda one: one.strength)
    taker = next(one for one in case.before if one.seen.number == lock.taken)
    if case.asks.any("validate") and lock.relation in case.seen.work.scanned:
        yield "validate-under-lock", f"it reads all of {lock.relation.name} while {_held(lock, taker)}", lock.relation
    else:
        yield "lock-held-while-working", f"{case.seen.name} {works} while {_held(lock, taker)}", lock.relation


def _held_to_the_end(case: Case) -> Iterator[Hit]:
    for lock in _strongest(case.seen.taken):
        rest = lock.until - case.seen.number
        if rest and all(held.relation != lock.relation or held.strength < lock.strength for held in case.held):
            yield (
                "lock-held-to-the-end",
                f"{lock.mode} on {lock.relation.name} is held across {rest} more statement{'s' * (rest > 1)}, to the COMMIT",
                lock.relation,
            )


def _several_tables(case: Case) -> Iterator[Hit]:
    earlier = {lock.relation for lock in case.held}
    fresh = [lock for lock in case.strong if lock.relation not in earlier and lock in case.seen.taken]
    named = [lock for lock in fresh if case.names(lock.relation)]
    if earlier and named:
        yield (
            "several-tables-locked",
            f"{named[0].mode} on {named[0].relation.name} while {_names(sorted(earlier))} {_is(earlier)} locked",
            named[0].relation,
        )


def _other_table(case: Case) -> Iterator[Hit]:
    for lock in case.strong:
        if case.asks.any("drop index", "reindex", "code", "select", "partition of") or case.names(lock.relation):
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
            and _bare(lock.relation.name) != asks.target
        ):
            yield "foreign-key-locks-both", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _lock_table(case: Case) -> Iterator[Hit]:
    if case.asks.any("lock"):
        yield from (("lock-table", f"{lock.mode} on {lock.relation.name}", lock.relation) for lock in case.strong)


def _timeout(case: Case) -> Iterator[Hit]:
    limit = case.seen.lock_timeout
    if case.strong and not 0 < limit <= LONG_TIMEOUT:
        lock = case.strong[0]
        how = f"for up to {limit / 1000:g} s" if limit else "without a limit"
        yield "no-lock-timeout", f"{lock.mode} on {lock.relation.name} is waited for {how}", lock.relation


def _rewrites(case: Case) -> Iterator[Hit]:
    for relation in case.seen.work.rewritten:
        if relation.kind == "materialized view":
            continue
        rule = _first(_REWRITES, case.asks, "table-rewrite")
        yield rule, f"{relation.name} and its indexes are written anew", relation


def _refresh(case: Case) -> Iterator[Hit]:
    for lock in case.strong if case.asks.any("refresh") else ():
        if lock.relation.kind == "materialized view":
            yield "refresh-blocks-readers", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _scans(case: Case) -> Iterator[Hit]:
    work = case.seen.work
    if work.rewritten or case.asks.any("update", "delete", "insert", "truncate", "refresh"):
        return
    for lock in case.strong:
        built = [one for one in work.built if one.table == lock.relation.name]
        if lock.relation in work.scanned or built:
            rule = _first(_SCANS, case.asks, "scan-under-lock")
            what = f"builds {_names(built)}" if built else f"reads all of {lock.relation.name}"
            yield rule, f"it {what} under {lock.mode}, which {lock.blocks}", lock.relation
            if rule != "attach-partition-scans":
                return


def _drop_index(case: Case) -> Iterator[Hit]:
    for lock in case.strong if case.asks.any("drop index") else ():
        yield "drop-index-not-concurrently", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _partition(case: Case) -> Iterator[Hit]:
    if case.asks.any("partition of", "detach partition", "drop table"):
        for lock in case.strong:
            if lock.relation.kind == "partitioned table" and lock.mode == "ACCESS EXCLUSIVE":
                yield "partition-locks-parent", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _whole_table(case: Case) -> Iterator[Hit]:
    changed = {one.relation: one for one in case.seen.work.rows}
    for relation in case.seen.work.scanned:
        rows = changed.get(relation)
        aimed = _bare(relation.name) == case.asks.target
        head = f"it reads all of {relation.name} and"
        if (case.asks.any("update") and aimed) or (rows and rows.updated):
            yield "update-not-batched", f"{head} updates {_what(rows.updated if rows else 0)}", relation
        elif (case.asks.any("delete") and aimed) or (rows and rows.deleted):
            yield "delete-not-batched", f"{head} deletes {_what(rows.deleted if rows else 0)}", relation


def _truncate(case: Case) -> Iterator[Hit]:
    for lock in case.strong if case.asks.any("truncate") else ():
        if case.names(lock.relation):
            yield "truncate", f"{lock.mode} on {lock.relation.name}, and all its rows are gone", lock.relation


def _not_null(case: Case) -> Iterator[Hit]:
    given = ("add column default", "add column serial", "add column identity", "add column generated")
    if not case.asks.any("add column not null", "add column primary key") or case.asks.any(*given):
        return
    for lock in case.strong:
        if _bare(lock.relation.name) == case.asks.target:
            yield "not-null-without-default", f"no row of {lock.relation.name} can have a value for it", lock.relation


def _other_rows(case: Case) -> Iterator[Hit]:
    for rows in case.seen.work.rows:
        if case.asks.any("update", "delete", "insert", "copy") and not case.names(rows.relation):
            yield "writes-other-table", str(rows), rows.relation


def _columns(case: Case) -> Iterator[Hit]:
    for lock in case.strong:
        prefix = f"{lock.relation.name}."
        columns = [one for one in case.seen.changes if one.kind == "column" and one.identity.startswith(prefix)]
        types = [(one, (one.before or "").split("\n")[0], (one.after or "").split("\n")[0]) for one in columns]
        changed = [one for one, old, new in types if old != new]
        if changed and lock.relation.kind != "view":
            what = ", ".join(one.identity.removeprefix(prefix) for one in changed)
            yield "result-type-changes", f"the columns of {lock.relation.name} change: {what}", lock.relation
        for one, old, new in types:
            other_zone = old.startswith("timestamp") and new.startswith("timestamp") and old[-20:] != new[-20:]
            if other_zone and lock.relation not in case.seen.work.rewritten:
                yield "timezone-dependent-type", f"{one.identity}: {old} → {new}", lock.relation


_RULES: tuple[Callable[[Case], Iterator[Hit]], ...] = (
    _fails, _held_while_working, _rewrites, _scans, _refresh, _not_null, _several_tables, _other_table, _timeout, _lock_table,
    _drop_index, _partition, _whole_table, _truncate, _columns, _foreign_key, _other_rows, _held_to_the_end,
)  # fmt: skip


# --- Words ---


def _finding(file: File, seen: Seen, hit: Hit) -> Finding:
    name, happens, relation = hit
    rule = rulebook()[name]
    table = _short(relation.table or relation.name) if relation and relation.kind == "index" else (
        _short(relation.name) if relation else "the table")  # fmt: skip
    hurts, safer = (text.strip().replace("{table}", table) for text in (rule.hurts, rule.safer))
    return Finding(name, rule.severity, file.path, seen.line, seen.number, happens, hurts, safer)


def _strongest(locks: Sequence[Lock]) -> list[Lock]:
    """Of the strong locks on tables the strongest for each table, in the order given."""
    found: dict[Relation, Lock] = {}
    for lock in locks:
        known = found.get(lock.relation)
        if lock.strong and lock.relation.kind in _TABLES and (known is None or known.strength < lock.strength):
            found[lock.relation] = lock
    return list(found.values())


def _held(lock: Lock, taker: Case) -> str:
    return f"{lock.mode} on {lock.relation.name} is held since line {taker.seen.line}, which {lock.blocks}"


def _first(table: Sequence[tuple[str, tuple[str, ...]]], asks: Asked, otherwise: str) -> str:
    return next((rule for rule, words in table if asks.any(*words)), otherwise)


def _names(relations: Sequence[Relation]) -> str:
    return ", ".join(one.name for one in relations)


def _is(things: Sized) -> str:
    return "are" if len(things) > 1 else "is"


def _what(count: int) -> str:
    return f"{count:,} rows of the sample" if count else "what it finds"


def _short(name: str) -> str:
    return name.removeprefix("public.")


def _bare(name: str) -> str:
    """The name without its schema and quotes."""
    return name.rpartition(".")[2].strip('"')
