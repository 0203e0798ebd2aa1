"""One migration up, down and up again in a scratch database with rows, and what that shows."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import psycopg

from pgyoyo.catalog import rows, sequences, snapshot
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.snapshot import Change, Snapshot
from pgyoyo.errors import MigrationError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove import written
from pgyoyo.prove.chain import Unwinding
from pgyoyo.prove.proof import (
    CHAIN,
    DIFFERS,
    FAILS,
    LOSSY,
    ORDER,
    REAPPLY_DIFFERS,
    REAPPLY_FAILS,
    SEQUENCE,
    VOLATILE,
    Proof,
    dated,
    first_words,
    smallest,
)
from pgyoyo.scratch import belongings, samples
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.history import History
from pgyoyo.scratch.samples import Filled

_OF_TABLES = {"table", "column", "constraint", "index", "type", "domain"}
_WRITTEN = "with rows written after the migration: {}"
# SQLSTATEs of what is there already: a table or index, a column, schema, function, or another object.
_DUPLICATES = ("42P07", "42701", "42P06", "42723", "42710")
_Keys = Collection[tuple[str, str]]
_Held = Mapping[str, TableRows]


class Rounds:
    """Tries the migrations of a history; `reported` are the notes that were made already, and is added to."""

    def __init__(self, history: History, order: Sequence[Migration], unwinding: Unwinding, reported: set[str]) -> None:
        self._history = history
        self._order = order
        self._unwinding = unwinding
        self._reported = reported

    def start(self, copy: ScratchDatabase, proof: Proof | None = None) -> Filled:
        """Sample rows in all tables; the first proof that meets a table that stays empty says so."""
        filled = self.fill(copy, proof)
        if not samples.thin_out(copy.conn, filled.held):
            return filled
        copy.wrote()
        return samples.now(copy)

    def fill(
        self, copy: ScratchDatabase, proof: Proof | None = None, *, only_empty: bool = False, held: _Held | None = None
    ) -> Filled:
        """Sample rows where there are none, as `start`; `held`: what the tables hold, where it has just been read."""
        only_empty = only_empty or copy.sparse
        filled = samples.fill(
            copy.conn,
            copy.tried,
            sparse=copy.sparse,
            only_empty=only_empty,
            edges=copy.edges,
            known=copy.known_rows,
            facts=copy,
            held=held,
        )
        if proof:
            new = [note for note in filled.notes if note not in self._reported]
            proof.notes += new
            proof.of_tables += new
            self._reported.update(filled.notes)
        return filled

    def run(
        self, i: int, copy: ScratchDatabase, before: Snapshot, filled: Filled, proof: Proof, *, more: bool = True
    ) -> bool:
        """Up, down, up in a copy that has its rows; raises MigrationError for the first up, the rest are findings.

        With `more`, rows are written before it goes down, as an application may. Whether the copy is as after applying it.
        """
        current = self._order[i]
        standing, own = copy.standings(filled.held), belongings.belongings(copy.reader())
        copy.run(current, "apply")
        after, owned = copy.snapshot(owners=True), belongings.belongings(copy.reader())
        changes = snapshot.difference(before, after)
        if strange := dated(current, changes, before):
            proof.findings[VOLATILE] = strange
        there = copy.rows(hashed=False)
        applied = copy.standings(there)
        if lines := sequences.collisions(standing, applied):
            proof.findings[SEQUENCE] = lines
        if not proof.goes_down:
            return True
        # Its new tables only: an UPDATE of older ones may change more than the new columns (triggers).
        new = self.fill(copy, proof, only_empty=True, held=there) if {c.kind for c in changes} & _OF_TABLES else None
        names = written.looser(filled.tables, new.tables, changes) if new and more else ()
        count = samples.write_more(copy.conn, new.tables, names, edges=copy.edges, facts=copy) if new and names else 0
        made = (new.made if new else 0) + count
        theirs: _Keys = copy.snapshot(owners=True).keys() - after.keys() if made else ()
        then = copy.rows() if count else {}
        try:
            copy.run(current, "rollback")
        except MigrationError as error:
            return self._rollback_failed(i, copy, error, proof, more=bool(count))
        back, held = copy.snapshot(owners=True), copy.rows()
        lost = [*rows.difference(filled.held, held, added=not count)]
        at = copy.standings(held)
        behind = sequences.collisions(standing, at)
        lost += [] if behind else sequences.set_back(standing, at)
        if lost and made and not proof.lossy:
            lost = self._lost_of_old_rows(i, copy, lost)
        same = not self.classed(i, before, back, proof, theirs)
        if behind:
            proof.findings.setdefault(DIFFERS, []).extend(behind)
        proof.notes += sequences.set_forward(standing, applied, at)
        lost += self._of_the_database(i, own, owned, belongings.belongings(copy.reader()), proof)
        try:
            # What only the whole chain takes down is not there to be applied to.
            if CHAIN not in proof.findings:
                copy.run(current, "apply")
                if same:
                    self._classed_again(i, after, copy.snapshot(owners=True), proof, theirs)
        except MigrationError as error:
            if _is_there_already(error) or not self._again_with_other_rows(i):
                proof.fails(REAPPLY_FAILS, error, "up again: {}")
            else:
                proof.notes.append(f"applied again with other sample rows only: {first_words(error)}")
            same = False
        if count and same:
            lost += written.lost(filled.held, then, held, copy.rows())
        if lost and not proof.lossy:
            proof.findings[LOSSY] = lost
        return same

    def _of_the_database(self, i: int, before: Snapshot, after: Snapshot, back: Snapshot, proof: Proof) -> list[str]:
        """What a rollback left of what is no part of the schema; the large objects that it did not bring back are given."""
        own, large = belongings.changes(before, back)
        left = [change for change in large if change.before is None]
        texts = [migration.apply.data.lower() for migration in self._order[:i]] if own else []
        doubtful = [
            change for change in own
            if after.get(change[:2]) != change.after and belongings.may_be_lost(change, texts)
        ]  # fmt: skip
        proof.notes += [f"not compared, since an earlier migration may have set it: {change}" for change in doubtful]
        own = [change for change in own if change not in doubtful]
        if own or left:
            proof.findings.setdefault(DIFFERS, []).extend(map(str, [*own, *left]))
        return [str(change) for change in large if change not in left]

    def _rollback_failed(
        self, i: int, like: ScratchDatabase, error: MigrationError, proof: Proof, *, more: bool
    ) -> bool:
        """Find out why: alone though not in the chain, or only with the rows that were written after the migration."""
        if i in self._unwinding.left:
            proof.fails(CHAIN, error, "the rollback works in the chain only: {}")
            return False
        attempt = proof.anew()
        if more:
            with self._history.fresh(i) as copy:
                copy.edges, copy.sparse = like.edges, like.sparse
                filled = self.start(copy)
                with suppress(MigrationError):
                    self.run(i, copy, copy.snapshot(owners=True), filled, attempt, more=False)
                    if FAILS not in attempt.findings:
                        proof.take(attempt)
                        if proof.lossy:
                            proof.notes.append(f"its rollback fails {_WRITTEN.format(error)}")
                        else:
                            proof.fails(FAILS, error, _WRITTEN)
                        return False
        proof.fails(FAILS, error)
        return False

    def _again_with_other_rows(self, i: int) -> bool:
        """Whether it can be applied, rolled back and applied again with the old rows only, or with hardly any values."""
        current = self._order[i]
        for sparse in (False, True):
            with self._history.fresh(i) as copy, suppress(MigrationError):
                copy.sparse = sparse
                self.fill(copy)
                for step in ("apply", "rollback", "apply"):
                    copy.run(current, step)
                return True
        return False

    def _lost_of_old_rows(self, i: int, like: ScratchDatabase, lost: list[str]) -> list[str]:
        """What becomes of the old rows when no other ones come: a rollback may bring back what is put into new tables."""
        with self._history.fresh(i) as copy:
            copy.edges, copy.sparse = like.edges, like.sparse
            filled = self.start(copy)
            standing = copy.standings(filled.held)
            try:
                copy.run(self._order[i], "apply")
                copy.run(self._order[i], "rollback")
            except MigrationError:  # only the rows that this copy can't have allow it
                return lost
            held = copy.rows()
            at = copy.standings(held)
            lost = rows.difference(filled.held, held)
            return lost + ([] if sequences.collisions(standing, at) else sequences.set_back(standing, at))

    def classed(self, i: int, before: Snapshot, back: Snapshot, proof: Proof, theirs: _Keys = ()) -> bool:
        """Whether the rollback left another catalog, which is then among the findings, the cause first.

        What rows made (`theirs`) is none of its business.
        """
        changes = [change for change in snapshot.difference(before, back) if _counts(change, theirs)]
        if not changes:
            return False
        volatile = self._volatile(i, {"rollback": back})
        real = [change for change in changes if change[:2] not in volatile]
        kind, lines = DIFFERS, smallest(real or changes)
        if not real:
            kind = VOLATILE
        elif (by := self._unwinding.completed_by(i, {change[:2] for change in real})) is not None:
            others = f"the rollback of {self._order[by].id}" if by < i else "the rollbacks of later ones"
            kind, lines = CHAIN, [f"the catalog comes back together with {others}", *lines]
        elif all(change.kind == "column order" for change in real):
            if proof.lossy:  # its reason covers the order of what was dropped
                return False
            kind = ORDER
        proof.findings = {kind: lines} | proof.findings
        return kind != VOLATILE

    def _classed_again(self, i: int, after: Snapshot, again: Snapshot, proof: Proof, theirs: _Keys) -> None:
        changes = [change for change in snapshot.difference(after, again) if _counts(change, theirs)]
        if changes:
            volatile = self._volatile(i, {"apply": after, "again": again})
            real = [change for change in changes if change[:2] not in volatile]
            proof.findings[REAPPLY_DIFFERS if real else VOLATILE] = smallest(real or changes)

    def _volatile(self, i: int, seen: Mapping[str, Snapshot]) -> set[tuple[str, str]]:
        """The objects that are others when the same is done once more, in a fresh copy; seen after which step."""
        changing: set[tuple[str, str]] = set()
        with self._history.fresh(i) as copy, suppress(MigrationError):
            self.fill(copy)
            for step in ("apply", "rollback", "again")[: 2 if "rollback" in seen else 3]:
                copy.run(self._order[i], "rollback" if step == "rollback" else "apply")
                if step in seen:
                    changing.update(
                        change[:2] for change in snapshot.difference(seen[step], copy.snapshot(owners=True))
                    )
        return changing


def _is_there_already(error: MigrationError) -> bool:
    """Whether a statement, not code that it ran, makes what is there: no other rows would change that."""
    cause = error.server_error if isinstance(error, StatementError) else None
    return isinstance(cause, psycopg.Error) and cause.sqlstate in _DUPLICATES and not cause.diag.context


def _counts(change: Change, theirs: _Keys) -> bool:
    """Whether a change is the migration's: not what rows made, nor the owner of what came or went."""
    if change.kind == "owner" and None in (change.before, change.after):
        return False
    return not (change.before is None and change[:2] in theirs)
