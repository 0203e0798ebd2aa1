"""Each migration up, down to exactly the earlier catalog, and up again, with rows in every table."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack

import psycopg
from psycopg import Connection

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
    MISSING,
    NOT_RUN,
    ORDER,
    REAPPLY_DIFFERS,
    REAPPLY_FAILS,
    Proof,
    first_words,
)
from pgyoyo.prove.rounds import Rounds
from pgyoyo.scratch import extensions, present_roles, rights, row_maker, shared, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import NONE, Defaults
from pgyoyo.scratch.history import History
from pgyoyo.scratch.states import After

_WRONG_SQL = "42"  # the class of SQLSTATEs of syntax errors, of what is undefined or there already


def prove(
    admin: Connection, folders: Folders, console: Console, *, ids: Sequence[str] = (), start: str | None = None,
    chain: bool = False, alone: bool = True, defaults: Defaults = NONE,
) -> Iterator[Proof]:  # fmt: skip
    """The proofs of the chosen migrations, one as soon as it is there; of all without `ids` and `start`.

    Everything happens in scratch databases of the server of `admin`. With `chain` all are also rolled back from the last
    to the first one. Before anything runs it raises what `asked` raises. `defaults`: what sessions begin with in the database
    that the migrations are for.
    """
    order, chosen = asked(admin, folders, console, ids=ids, start=start, alone=alone)
    if chosen:
        with shared.restored(admin, order, console):
            order = [*present_roles.left_alone(order, present_roles.those_of(admin, order), console)]
            yield from proofs(admin, order, chosen, console, chain=chain, defaults=defaults)


def asked(
    admin: Connection, folders: Folders, console: Console, *, ids: Sequence[str] = (), start: str | None = None,
    alone: bool = True,
) -> tuple[list[Migration], set[int]]:  # fmt: skip
    """The migrations up to the last chosen one, and the places of the chosen ones: all without `ids` and `start`.

    Raises UsageError, DefectsError, and, unless the server has no other databases that matter (`alone`), UsageError for
    migrations that would change those too. One that only Python can run is left out, with a warning.
    """
    order, chosen = selected(folders, ids, start)
    for i in [i for i in chosen if any(file and file.blocked for file in (order[i].apply, order[i].rollback))]:
        console.warn(f"{order[i].id} is not proved: it has steps that only Python can run")
        chosen.discard(i)
    upto = list(order[: max(chosen, default=-1) + 1])
    checks.scripts(upto)
    for words in checks.left_out(upto):
        console.note(words)
    if not alone:
        checks.refuse_cluster_wide(upto, but_roles=rights.owner(admin) is not None)
    extensions.require(admin, upto, (order[i] for i in sorted(chosen)))
    return upto, chosen


def selected(folders: Folders, ids: Sequence[str] = (), start: str | None = None) -> tuple[list[Migration], set[int]]:
    """All migrations in order, and the places of the chosen ones; raises UsageError, and DefectsError for Python by name.

    It needs no server.
    """
    if ids and start:
        raise UsageError("give ids or --from: one of them")
    order = plan.order(folders.migrations)
    known = [migration.id for migration in order]
    chosen = {known.index(plan.find(name, known)) for name in ids} or set(range(len(order)))
    if start is not None:
        chosen = {i for i in chosen if i >= known.index(plan.find(start, known))}
    if ids:
        checks.refuse_python(order[i] for i in sorted(chosen))
    return order, chosen


def proofs(
    admin: Connection, order: Sequence[Migration], chosen: Collection[int], console: Console, *, chain: bool = False,
    defaults: Defaults = NONE, start: After | None = None,
) -> Iterator[Proof]:  # fmt: skip
    """The proofs of the migrations at these places of `order`; as prove, but for what was checked before.

    `start` is that of a History.
    """
    try:
        with ExitStack() as stack:
            yield from _Prover(admin, order, console, stack, defaults, start).proofs(chosen, chain=chain)
    except psycopg.Error as error:
        raise PgyoyoError(f"the scratch server: {failures.server_words(error)}") from None


class _Prover:
    """Proves one migration after the other in one scratch database.

    Undoing in place takes less time than a clone, whatever the migration. Only after a failure is the state rebuilt:
    cloned from `history`, which goes up only as far as is needed.
    """

    def __init__(
        self, admin: Connection, order: Sequence[Migration], console: Console, stack: ExitStack, defaults: Defaults,
        start: After | None = None,
    ) -> None:  # fmt: skip
        self.order = order
        self.history = History(admin, order, console, stack, defaults, start)
        self.broken = self.history.broken
        self.reported: set[str] = set()
        self.unwinding = Unwinding(self.history, order)
        self.rounds = Rounds(self.history, order, self.unwinding, self.reported)
        self._work_stack = stack.enter_context(ExitStack())
        self._work: ScratchDatabase | None = None
        self._work_at = -1
        self._begins_in_history = False

    def proofs(self, chosen: Collection[int], *, chain: bool) -> Iterator[Proof]:
        self._begins_in_history = not chain and (len(chosen) == 1 or len(self.order) < states.WORTH_A_STATE)
        if chain:
            self.unwinding.run(min(chosen), max(chosen))
        for i in sorted(chosen):
            current = self.order[i]
            started = time.monotonic()
            proof = Proof(current.id)
            if current.rollback:
                proof.lossy, proof.irreversible = current.rollback.header.lossy, current.rollback.header.irreversible
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
        current = self.order[i]
        copy = self._working(i)
        if needed := next((name for name in current.depends if name in self.broken), None):
            self.broken[current.id] = f"it depends on {needed}, which can't be applied"
            proof.findings[NOT_RUN] = [self.broken[current.id]]
            return False
        try:
            current.require_rollback()
        except RollbackRefusedError as error:
            if not proof.irreversible:
                proof.findings[MISSING] = [str(error)]
        filled = self.rounds.start(copy, proof)
        before, given = copy.snapshot(owners=True), copy.given
        refused: MigrationError | None = None
        clean = False
        try:
            clean = self.rounds.run(i, copy, before, filled, proof)
        except MigrationError as error:
            refused = error
        if copy.given != given:
            # It creates a schema that the search_path names, which was there before.
            self.history.creates(i, set(given) - set(copy.given))
            self._work_at = -1
            proof.clear()
            return self._one(i, proof)
        if refused:
            self._work_at = -1
            if not self._fails_whatever_the_rows(i, refused, proof) and not self._with_fewer_edges(i, refused, proof):
                self._with_other_rows(i, refused, proof)
            return False
        return clean and not {APPLY_FAILS, FAILS, DIFFERS, ORDER, CHAIN, REAPPLY_FAILS, REAPPLY_DIFFERS} & set(
            proof.findings
        )

    def _fails_whatever_the_rows(self, i: int, error: MigrationError, proof: Proof) -> bool:
        """Whether one that names what is not there, or can't be read, fails on empty tables too: other rows don't help it."""
        cause = error.server_error if isinstance(error, StatementError) else None
        if not isinstance(cause, psycopg.Error) or (cause.sqlstate or "")[:2] != _WRONG_SQL:
            return False
        with self.history.fresh(i) as copy:
            return not self._applied(i, copy, proof)

    def _applied(self, i: int, copy: ScratchDatabase, proof: Proof) -> bool:
        """Apply it to a copy without rows; whether that worked: a failure is its finding."""
        current = self.order[i]
        try:
            copy.run(current, "apply")
        except MigrationError as error:
            if earlier := next((before.id for before in self.order[:i] if before.id in self.broken), None):
                proof.notes.append(f"{earlier}, before it, can't be applied: what is missing here may come from there")
            self.broken[current.id] = str(error)
            proof.fails(APPLY_FAILS, error)
            return False
        return True

    def _with_fewer_edges(self, i: int, error: MigrationError, proof: Proof) -> bool:
        """Prove one that can't be applied to all of the sample rows with those that it takes; whether it takes any."""
        proved: Proof | None = None
        # Mostly the most extreme ones alone are in the way; that none is, is seen before all are tried.
        for edges in (row_maker.EDGES - 1, 0, *range(row_maker.EDGES - 2, 0, -1)):
            attempt = proof.anew()
            with self.history.fresh(i) as copy:
                copy.edges = edges
                filled = self.rounds.start(copy, attempt)
                try:
                    self.rounds.run(i, copy, copy.snapshot(owners=True), filled, attempt)
                except MigrationError:
                    if not edges:
                        return False
                    continue
            proved = attempt
            if edges:
                break
        if proved:
            proof.notes.append(f"it refuses values at the edges of their types: {first_words(error)}")
            proof.take(proved)
        return proved is not None

    def _with_other_rows(self, i: int, error: MigrationError, proof: Proof) -> None:
        """Prove one that can't be applied to the sample rows: with such as it allows, then with hardly any values."""
        current = self.order[i]
        kind = APPLY_FAILS
        for sparse in (False, True):
            with self.history.fresh(i) as copy:
                copy.sparse = sparse
                before = copy.snapshot(owners=True)
                if not self._applied(i, copy, proof):
                    return
                if not sparse:
                    proof.notes.append(f"it refuses the first sample rows: {first_words(error)}")
                if not proof.goes_down:
                    return
                after = copy.snapshot(owners=True)
                self.rounds.fill(copy, proof)
                theirs = copy.snapshot(owners=True).keys() - after.keys()
                kind = FAILS
                try:
                    copy.run(current, "rollback")
                    kind = APPLY_FAILS
                    back = copy.snapshot(owners=True)
                    if not self.rounds.classed(i, before, back, proof, theirs):
                        self.rounds.run(i, copy, back, self.rounds.fill(copy, only_empty=True), proof, more=False)
                except MigrationError as again:
                    error = again
                    continue
                if sparse:
                    proof.notes.append("proved with rows that have nulls wherever they may")
                return
        # Refused for the same reason, it is said once.
        proof.notes = [note for note in proof.notes if not note.endswith(f": {first_words(error)}")]
        proof.findings.clear()
        proof.fails(kind, error, "as soon as its tables have rows: {}")

    def _working(self, i: int) -> ScratchDatabase:
        """The working copy, just before the i-th migration."""
        if self._work is None or self._work_at != i:
            self._work_stack.close()
            # Where it takes no longer to make the history again, a copy of it is needed only if one fails.
            begin = self.history.itself if self._begins_in_history else self.history.fresh
            self._work, self._begins_in_history = self._work_stack.enter_context(begin(i)), False
            self._work_at = i
        return self._work
