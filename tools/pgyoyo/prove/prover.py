"""Each migration up, down to exactly the earlier catalog, and up again, with rows in every table."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

import psycopg
from psycopg import Connection

from pgyoyo.catalog import rows, snapshot
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.console import Console
from pgyoyo.engine import failures
from pgyoyo.errors import MigrationError, PgyoyoError, RollbackRefusedError, StatementError, UsageError
from pgyoyo.migrations import checks, plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.prove.chain import Unwinding
from pgyoyo.prove.proof import (
    APPLY_FAILS,
    CHAIN,
    DIFFERS,
    FAILS,
    LOSSY,
    MISSING,
    NOT_RUN,
    ORDER,
    REAPPLY_DIFFERS,
    REAPPLY_FAILS,
    VOLATILE,
    Proof,
    dated,
    smallest,
)
from pgyoyo.scratch import samples, shared
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.history import History

_OF_TABLES = {"table", "column", "constraint", "type", "domain"}


def prove(
    admin: Connection, folders: Folders, console: Console, *, ids: Sequence[str] = (), start: str | None = None,
    chain: bool = False, alone: bool = True,
) -> Iterator[Proof]:  # fmt: skip
    """The proofs of the chosen migrations, one as soon as it is there; of all without `ids` and `start`.

    Everything happens in scratch databases of the server of `admin`. With `chain` all are also rolled back from the last
    to the first one. Before anything runs it raises UsageError, DefectsError, and, unless the server has no other
    databases that matter (`alone`), UsageError for migrations that would change those too.
    """
    if ids and start:
        raise UsageError("give ids or --from: one of them")
    order = plan.order(folders.migrations)
    known = [migration.id for migration in order]
    chosen = {known.index(plan.find(name, known)) for name in ids} or set(range(len(order)))
    if start is not None:
        chosen = {i for i in chosen if i >= known.index(plan.find(start, known))}
    if not chosen:
        return
    if ids:
        checks.refuse_python(order[i] for i in sorted(chosen))
    for i in [i for i in chosen if any(file and file.blocked for file in (order[i].apply, order[i].rollback))]:
        console.warn(f"{order[i].id} is not proved: it has steps that only Python can run")
        chosen.discard(i)
    if not chosen:
        return
    checks.scripts(order[: max(chosen) + 1])
    for words in checks.left_out(order[: max(chosen) + 1]):
        console.note(words)
    if not alone:
        checks.refuse_cluster_wide(order[: max(chosen) + 1])
    with shared.restored(admin, order[: max(chosen) + 1], console):
        yield from proofs(admin, order, chosen, console, chain=chain)


def proofs(
    admin: Connection, order: Sequence[Migration], chosen: Collection[int], console: Console, *, chain: bool = False,
    timezone: str | None = None,
) -> Iterator[Proof]:  # fmt: skip
    """The proofs of the migrations at these places of `order`; as prove, but for what was checked before.

    `timezone` is that of the sessions; None: the server's.
    """
    try:
        with ExitStack() as stack:
            yield from _Prover(admin, order, console, stack, timezone).proofs(chosen, chain=chain)
    except psycopg.Error as error:
        raise PgyoyoError(f"the scratch server: {failures.server_words(error)}") from None


class _Prover:
    """Proves one migration after the other in one scratch database.

    Undoing in place takes less time than a clone, whatever the migration. Only after a failure is the state rebuilt:
    cloned from `history`, which goes up only as far as is needed.
    """

    def __init__(
        self, admin: Connection, order: Sequence[Migration], console: Console, stack: ExitStack, timezone: str | None
    ) -> None:
        self.order = order
        self.history = History(admin, order, console, stack, timezone)
        self.broken = self.history.broken
        self.reported: set[str] = set()
        self.unwinding = Unwinding(self.history, order)
        self._work_stack = stack.enter_context(ExitStack())
        self._work: ScratchDatabase | None = None
        self._work_at = -1

    def proofs(self, chosen: Collection[int], *, chain: bool) -> Iterator[Proof]:
        if chain:
            self.unwinding.run(min(chosen), max(chosen))
        for i in sorted(chosen):
            one = self.order[i]
            started = time.monotonic()
            proof = Proof(one.id)
            if one.rollback:
                proof.lossy, proof.irreversible = one.rollback.header.lossy, one.rollback.header.irreversible
            good = self._one(i, proof)
            if i in self.unwinding.stuck and not {APPLY_FAILS, FAILS} & set(proof.findings):
                proof.notes.append(f"in the chain its rollback fails: {self.unwinding.stuck[i]}")
            proof.duration = (time.monotonic() - started) * 1000
            for unasked in self.order[:i]:
                if unasked.id in self.broken.keys() - self.reported and self.order.index(unasked) not in chosen:
                    self.reported.add(unasked.id)
                    yield Proof(unasked.id, findings={APPLY_FAILS: [self.broken[unasked.id]]})
            yield proof
            self._work_at = i + 1 if good else -1

    def _one(self, i: int, proof: Proof) -> bool:
        """Prove one; whether the working copy is as after applying it, and nothing else."""
        one = self.order[i]
        copy = self._working(i)
        if needed := next((name for name in one.depends if name in self.broken), None):
            self.broken[one.id] = f"it depends on {needed}, which can't be applied"
            proof.findings[NOT_RUN] = [self.broken[one.id]]
            return False
        try:
            one.require_rollback()
        except RollbackRefusedError as error:
            if not proof.irreversible:
                proof.findings[MISSING] = [str(error)]
        before = copy.snapshot()
        held = self._fill(copy, proof).held
        try:
            self._round(i, copy, before, held, proof)
        except MigrationError as error:
            self._work_at = -1
            self._with_other_rows(i, error, proof)
            return False
        return not {APPLY_FAILS, FAILS, DIFFERS, ORDER, CHAIN, REAPPLY_FAILS, REAPPLY_DIFFERS} & set(proof.findings)

    def _with_other_rows(self, i: int, error: MigrationError, proof: Proof) -> None:
        """Prove one that can't be applied to the sample rows: with such as it allows, then with hardly any values."""
        one = self.order[i]
        kind = APPLY_FAILS
        for sparse in (False, True):
            with self.history.fresh(i) as copy:
                copy.sparse = sparse
                before = copy.snapshot()
                try:
                    copy.run(one, "apply")
                except MigrationError as again:
                    self.broken[one.id] = str(again)
                    proof.fails(APPLY_FAILS, again)
                    return
                if not sparse:
                    proof.notes.append(f"not with the first sample rows: {_server_words(error)}")
                if not proof.goes_down:
                    return
                self._fill(copy, proof)
                kind = FAILS
                try:
                    copy.run(one, "rollback")
                    kind = APPLY_FAILS
                    if not self._classed(i, before, copy.snapshot(), proof):
                        self._round(i, copy, before, rows.rows(copy.conn), proof)
                except MigrationError as again:
                    error = again
                    continue
                if sparse:
                    proof.notes.append("proved with rows that have nulls wherever they may")
                return
        proof.findings.clear()
        proof.fails(kind, error, "as soon as its tables have rows: {}")

    def _round(
        self, i: int, copy: ScratchDatabase, before: Snapshot, held: Mapping[str, TableRows], proof: Proof
    ) -> None:
        """Up, down, up in a copy that has its rows; raises MigrationError for the first up, the rest are findings."""
        one = self.order[i]
        copy.run(one, "apply")
        after = copy.snapshot()
        changes = snapshot.difference(before, after)
        if strange := dated(one, changes, before):
            proof.findings[VOLATILE] = strange
        if not proof.goes_down:
            return
        # Its new tables only: an UPDATE of older ones may change more than the new columns (triggers).
        made = self._fill(copy, proof, only_empty=True).made if {c.kind for c in changes} & _OF_TABLES else 0
        try:
            copy.run(one, "rollback")
        except MigrationError as error:
            proof.fails(FAILS, error)
            return
        back = copy.snapshot()
        lines = rows.difference(held, rows.rows(copy.conn))
        if lines and made and not proof.lossy:
            lines = self._lost_of_old_rows(i)
        same = not self._classed(i, before, back, proof)
        try:
            copy.run(one, "apply")
            if same:
                self._classed_again(i, after, copy.snapshot(), proof)
        except MigrationError as error:
            proof.fails(REAPPLY_FAILS, error, "up again: {}")
        if lines and not proof.lossy:
            proof.findings[LOSSY] = lines

    def _lost_of_old_rows(self, i: int) -> list[str]:
        """What becomes of the old rows when new tables stay empty: a rollback may bring back what is put into those."""
        with self.history.fresh(i) as copy:
            held = self._fill(copy).held
            copy.run(self.order[i], "apply")
            copy.run(self.order[i], "rollback")
            return rows.difference(held, rows.rows(copy.conn))

    def _fill(self, copy: ScratchDatabase, proof: Proof | None = None, *, only_empty: bool = False) -> samples.Filled:
        """Make sample rows; the first proof that meets a table that stays empty says so."""
        filled = samples.fill(copy.conn, copy.tried, sparse=copy.sparse, only_empty=only_empty or copy.sparse)
        if proof:
            proof.notes += [note for note in filled.notes if note not in self.reported]
            self.reported.update(filled.notes)
        return filled

    def _classed(self, i: int, before: Snapshot, back: Snapshot, proof: Proof) -> bool:
        """Whether the rollback left another catalog, which is then among the findings, the cause first."""
        changes = snapshot.difference(before, back)
        if not changes:
            return False
        volatile = self._volatile(i, {"rollback": back})
        real = [change for change in changes if change[:2] not in volatile]
        kind, lines = DIFFERS, smallest(real or changes)
        if not real:
            kind = VOLATILE
        elif (by := self.unwinding.completed_by(i, {change[:2] for change in real})) is not None:
            others = f"the rollback of {self.order[by].id}" if by < i else "the rollbacks of later ones"
            kind, lines = CHAIN, [f"the catalog comes back together with {others}", *lines]
        elif all(change.kind == "column order" for change in real):
            kind = ORDER
        proof.findings = {kind: lines} | proof.findings
        return kind != VOLATILE

    def _classed_again(self, i: int, after: Snapshot, again: Snapshot, proof: Proof) -> None:
        changes = snapshot.difference(after, again)
        if changes:
            volatile = self._volatile(i, {"apply": after, "again": again})
            real = [change for change in changes if change[:2] not in volatile]
            proof.findings[REAPPLY_DIFFERS if real else VOLATILE] = smallest(real or changes)

    def _volatile(self, i: int, seen: Mapping[str, Snapshot]) -> set[tuple[str, str]]:
        """The objects that are others when the same is done once more, in a fresh copy; seen after which step."""
        found: set[tuple[str, str]] = set()
        with self.history.fresh(i) as copy, suppress(MigrationError):
            self._fill(copy)
            for step in ("apply", "rollback", "again")[: 2 if "rollback" in seen else 3]:
                copy.run(self.order[i], "rollback" if step == "rollback" else "apply")
                if step in seen:
                    found.update(change[:2] for change in snapshot.difference(seen[step], copy.snapshot()))
        return found

    def _working(self, i: int) -> ScratchDatabase:
        """The working copy, just before the i-th migration."""
        if self._work is None or self._work_at != i:
            self._work_stack.close()
            self._work = self._work_stack.enter_context(self.history.fresh(i))
            self._work_at = i
        return self._work


def _server_words(error: MigrationError) -> str:
    """The server's message without what goes with it; without such a message the first line of the error."""
    cause = error.server_error if isinstance(error, StatementError) else None
    words = failures.server_words(cause) if isinstance(cause, psycopg.Error) else str(error)
    return words.splitlines()[0]
