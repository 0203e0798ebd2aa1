"""A backfill: one UPDATE as many short transactions, resumed where it was, recorded when all rows are done."""

import hashlib
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import psycopg
from psycopg.rows import class_row

from pgyoyo.backfill.batch import Batches, State
from pgyoyo.backfill.interrupt import Stop, stopping
from pgyoyo.backfill.pacing import Cursor, Limits
from pgyoyo.backfill.sweep import left_words
from pgyoyo.backfill.table_pass import TablePass
from pgyoyo.backfill.tables import Targets, find, plan_faults, queries
from pgyoyo.backfill.throttle import Throttle
from pgyoyo.backfill.trigger_check import TriggerCheck
from pgyoyo.engine import failures, ledger
from pgyoyo.engine.message import RESET, Step
from pgyoyo.engine.transaction import Runner
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import ConnectionLostError, DriftError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Progress
from pgyoyo.sql.update import RefusedError, RepeatableUpdate, parse_update
from pgyoyo.units import size_words

# So few pages are done in less than a batch's time: one transaction, with the record in it, as for any other file.
_FEW_PAGES = 64
NOTHING = "no rows to update"


@dataclass(slots=True)
class Backfill:
    """Runs the file of one migration in batches."""

    runner: Runner
    migration: Migration
    step: Step
    limits: Limits
    _slice: RepeatableUpdate = field(init=False)
    _batches_sent: Batches | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._slice = parse_update(self.step.script)

    def run(self) -> Outcome:
        """Do all rows, then record the migration in one transaction.

        Committed batches stay: after StatementError, ConnectionLostError or a signal the next run resumes there.
        Raises StatementError, before the first batch, for what can't run in batches.
        """
        try:
            return self._run()
        except RefusedError as no:
            # A partition may have a trigger that those before it have not.
            begun = self._batches_sent is not None and self._batches_sent.state.batches > 0
            raise StatementError(f"{self.migration.apply.path}:{no.line}: {no.reason}", started=begun) from None
        except (ConnectionLostError, psycopg.OperationalError) as error:
            if not self.runner.conn.closed or self._batches_sent is None:
                raise
            lost = error if isinstance(error, ConnectionLostError) else failures.server_words(error)
            rows = self._batches_sent.state.rows
            raise ConnectionLostError(
                f"{self.migration.apply.path}: the connection was lost:\n{lost}\n"
                f"at least {rows:,} rows are done and stay; the next pgyoyo apply resumes there", done=None,
            ) from None  # fmt: skip

    def _run(self) -> Outcome:
        started, stop = time.monotonic(), Stop()
        for text in ("SET jit = off", "SET statement_timeout = 0"):
            self.runner.conn.execute(text.encode())
        targets = self._targets()
        state = self._resumed()
        batches = self._batches(targets, state or State(), stop)
        batches.shown = partial(self._shown, batches)
        pages = sum(table.pages for table in targets.tables)
        if state is None and pages <= _FEW_PAGES and self.limits.triggers != "skip":
            any_rows = _try_rows(TriggerCheck(batches), targets)
            outcome = self.runner.transaction([self.step])[0]
            if not any_rows:
                outcome.add_notice(NOTHING)
            for table in targets.tables:
                for line in left_words(batches, table, targets.member(table)):
                    outcome.add_notice(line)
            return outcome
        self._refuse_bad_plan(batches, targets)
        if state is None:
            _try_rows(TriggerCheck(batches), targets)
        for finding in targets.findings:
            self.runner.observer.note(f"{self.migration.id}: {finding}")
        if state is None:
            self._begin(batches)
        else:
            self.runner.observer.note(f"{self.migration.id}: resuming after {state.rows:,} rows")
        self._batches_sent = batches
        try:
            with stopping(stop):
                self._pass_over(batches, TriggerCheck(batches), targets)
                lines = self._account(batches, targets)
                self._record()
        except KeyboardInterrupt:
            rows = f"{batches.state.rows:,} rows are done and stay; the next pgyoyo apply resumes there"
            self.runner.observer.note(f"{self.migration.id} stopped: {rows}")
            raise
        return Outcome(duration=(time.monotonic() - started) * 1000, notices=lines)

    def check(self) -> None:
        """Ask what is asked before the first batch, of the catalog and of ten rows; what it tries is rolled back.

        Raises RefusedError for what can't run in batches.
        """
        targets = self._targets()
        _try_rows(TriggerCheck(self._batches(targets, State(), Stop())), targets)

    def preview(self) -> str:
        """The statement of a batch, and the plan that PostgreSQL has for it; reads only, and sends no batch."""
        which = Cursor(0, 8192, 0, 0).condition(8192, 16)
        try:
            targets = self._targets()
        except RefusedError as no:
            raise StatementError(f"{self.migration.apply.path}:{no.line}: {no.reason}") from None
        batches = self._batches(targets, State(), Stop())
        member = targets.member(targets.tables[0]) if targets.tables else None
        statement = targets.slice.batch(which, member=member, waiting=True)
        try:
            plan = [row[0] for row in batches.read(f"EXPLAIN {statement}", statement)]
            faults = plan_faults(self.runner.conn, self._plan(batches, statement), targets)
            lines = [*targets.findings, "the plan:", *plan, *(f"refused: {fault}" for fault in faults)]
        except StatementError as error:
            # What an earlier migration of the same run makes is not there yet.
            lines = ["no plan yet:", *str(error).splitlines()]
        settings = "".join(f"{text};\n" for text in batches.settings())
        return f"BEGIN;\n{settings}{statement};\nCOMMIT;\n" + "".join(f"-- {line}\n" for line in lines)

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _targets(self) -> Targets:
        return find(self.runner.conn, self._slice, skip_triggers=self.limits.triggers == "skip")

    def _batches(self, targets: Targets, state: State, stop: Stop) -> Batches:
        throttle = Throttle(self.runner.conn, self.limits, self.runner.observer.note)
        return Batches(self.runner, self.migration, targets.slice, self.limits, state, throttle, stop)

    def _resumed(self) -> State | None:
        """Where an earlier run was; raises DriftError where the UPDATE is another one since."""
        cursor = self.runner.conn.cursor(row_factory=class_row(State))
        query = ledger.bind(
            self.runner.conn, "resume", self.runner.schema, {"hash": self.migration.hash}, source=queries()
        )
        state = cursor.execute(query.encode()).fetchone()
        if state and state.checksum != self._checksum:
            raise DriftError(
                f"{self.migration.apply.path}:{self._slice.line}: its UPDATE was changed after {state.rows:,} rows were "
                f"done; put back what ran, or begin again with the new one: pgyoyo settle {self.migration.id} --again"
            )
        return state

    @property
    def _checksum(self) -> str:
        text = self.step.script.text(self._slice.statement)
        return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()

    def _begin(self, batches: Batches) -> None:
        values = {"hash": self.migration.hash, "id": self.migration.id, "checksum": self._checksum}
        conn, schema = self.runner.conn, self.runner.schema
        conn.execute(ledger.bind(conn, "begin", schema, values, source=queries()).encode())
        state = self._resumed()
        assert state
        batches.state = state

    def _plan(self, batches: Batches, statement: str) -> Any:
        return batches.read(f"EXPLAIN (FORMAT JSON) {statement}", statement)[0][0]

    def _refuse_bad_plan(self, batches: Batches, targets: Targets) -> None:
        which = Cursor(0, 64, 0, 0).condition(64, 16)
        for table, waiting in product(targets.tables, (True, False)):
            plan = self._plan(batches, targets.slice.batch(which, member=targets.member(table), waiting=waiting))
            if faults := plan_faults(self.runner.conn, plan, targets):
                raise RefusedError(self._slice.line, f"can't run in batches: {faults[0]}")

    def _pass_over(self, batches: Batches, trigger_check: TriggerCheck, targets: Targets) -> None:
        """Table by table; a partition that is attached meanwhile comes last."""
        while left := [table for table in targets.tables if table.oid not in batches.state.finished]:
            sizes = {table.oid: max(1, table.pages) for table in targets.tables}
            for table in left:
                batches.before = sum(sizes.get(oid, 0) for oid in batches.state.finished) / sum(sizes.values())
                batches.weight = sizes[table.oid] / sum(sizes.values())
                table_pass = TablePass(batches, trigger_check, table, targets.member(table))
                table_pass.run()
                table_pass.vacuum("ANALYZE, ")
                batches.state.finished = [*batches.state.finished, table.oid]
                batches.state.relation = None
                batches.save()
            targets = self._targets()

    def _shown(self, batches: Batches, why: str) -> None:
        """Tell how far it is by now."""
        state = batches.state
        numbers = (state.rows, state.batches, state.worked, batches.fraction)
        progress = Progress(self.migration.id, self.migration.hash, *numbers, idle=0.0, running=True)
        words = f"{progress}  {why}" if why else str(progress)
        self.runner.observer.backfill(self.migration.id, progress.fraction, words)

    def _account(self, batches: Batches, targets: Targets) -> list[str]:
        """What it did and what it cost, for the reader."""
        state, heap, indexes = batches.state, 0, 0
        if not state.rows:
            return [NOTHING, *batches.left]
        query = queries()["state"].encode()
        for table in targets.tables:
            for row in self.runner.conn.execute(query, {"oid": table.oid}).fetchall():
                heap, indexes = heap + row[2], indexes + row[3]
        rate = state.rows / max(state.worked, 0.001)
        sizes = [size_words(count) for count in (state.heap_before, heap, state.indexes_before, indexes)]
        done = (
            f"{state.rows:,} rows in {state.batches:,} batches, {rate:,.0f} rows/s; longest batch "
            f"{state.longest_batch * 1000:.0f} ms, longest wait it caused: {state.longest_wait * 1000:.0f} ms"
        )
        cost = (
            f"the server wrote {size_words(batches.wal)} of WAL meanwhile; {self._slice.table} grew from {sizes[0]} to "
            f"{sizes[1]}, its indexes from {sizes[2]} to {sizes[3]}"
        )
        return [done, cost, *batches.left]

    def _record(self) -> None:
        clear = ledger.bind(self.runner.conn, "backfill_clear", self.runner.schema, {"hash": self.migration.hash})
        self.runner.record([*RESET, *self.step.record.statements, clear], str(self.migration.apply.path))


def _try_rows(trigger_check: TriggerCheck, targets: Targets) -> bool:
    """Try some rows of each table; whether there were any. Raises RefusedError."""
    tried = [trigger_check.sampled(table, targets.member(table)) for table in targets.tables]
    return any(tried)
