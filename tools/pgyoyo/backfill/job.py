"""A backfill: the statements of a file as many short transactions, resumed where it was, recorded when all rows are done."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import psycopg

from pgyoyo.backfill.batch import Batches
from pgyoyo.backfill.functions import refuse_readers
from pgyoyo.backfill.interrupt import Stop, stopping
from pgyoyo.backfill.pacing import Limits
from pgyoyo.backfill.partition_order import in_order
from pgyoyo.backfill.privileges import may_look, refuse_missing_privileges
from pgyoyo.backfill.references import with_references
from pgyoyo.backfill.repeats import with_repeats
from pgyoyo.backfill.state import Row, State
from pgyoyo.backfill.statement import StatementRun
from pgyoyo.backfill.sweep import left_words
from pgyoyo.backfill.tables import Targets, find
from pgyoyo.backfill.throttle import Throttle
from pgyoyo.backfill.waiting import Waiting
from pgyoyo.backfill.whole_rows import refuse_other_columns
from pgyoyo.engine import failures, ledger, wire
from pgyoyo.engine.message import RESET, Step
from pgyoyo.engine.transaction import Runner
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import ConnectionLostError, DriftError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Progress
from pgyoyo.sql.batched import Batched, RefusedError
from pgyoyo.sql.batched_file import statements

# So few pages are done in less than a batch's time: one transaction, with the record in it, as for any other file.
_FEW_PAGES = 64


@dataclass(slots=True)
class Backfill:
    """Runs the file of one migration in batches, one statement after the other."""

    runner: Runner
    migration: Migration
    step: Step
    limits: Limits
    # Each statement, for each table that it might walk.
    _statements: tuple[tuple[Batched, ...], ...] = field(init=False)
    _batches_sent: Batches | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._statements = statements(self.step.script)

    def run(self) -> Outcome:
        """Do all rows, then record the migration in one transaction.

        Committed batches stay: after StatementError, ConnectionLostError or a signal the next run resumes there.
        Raises StatementError, before the first batch, for what can't run in batches.
        """
        try:
            return self._run()
        except RefusedError as no:
            # A partition may have a trigger that those before it have not.
            state = self._batches_sent.state if self._batches_sent else State()
            begun = state.batches > 0 or state.statement > 0
            raise StatementError(f"{self.migration.apply.path}:{no.line}: {no.reason}", started=begun) from None
        except (ConnectionLostError, psycopg.Error) as error:
            conn = self.runner.conn
            is_unknown = isinstance(error, ConnectionLostError) or wire.leaves_open(conn, error)
            if self._batches_sent is None or not is_unknown:
                raise
            lost = failures.loss_words(error) if isinstance(error, psycopg.Error) else error
            what = "the connection was lost:\n" if conn.closed else ""
            rows = f"at least {self._batches_sent.state.rows:,} rows are done and stay"
            if not self._batches_sent.slice.IN_TURNS:
                rows += ", unless the server crashed: then all but those of its last second"
            raise ConnectionLostError(
                f"{self.migration.apply.path}: {what}{lost}\n{rows}; the next pgyoyo apply resumes there",
                done=None,
            ) from None

    def _run(self) -> Outcome:
        started, stop = time.monotonic(), Stop()
        # The last one holds where the whole runs in one transaction; a batch says it itself.
        for text in (
            "SET jit = off",
            "SET statement_timeout = 0",
            "SET default_transaction_isolation = 'read committed'",
        ):
            self.runner.conn.execute(text.encode())
        every = [self._targets(choices) for choices in self._statements]
        state = self._resumed()
        pages = sum(table.pages for targets in every for table in targets.tables)
        more = self.limits.triggers == "skip" or any(targets.cascades for targets in every)
        few = pages <= _FEW_PAGES and not more
        if any(targets.missing for targets in every) or (state is None and few):
            return self._at_once(every)
        for targets in every:
            refuse_missing_privileges(self.runner.conn, targets)
        waiting = self._waiting(stop)
        first = state.statement if state else 0
        given = zip(self._statements, every, strict=True)
        runs = [self._statement_run(choices, targets, waiting) for choices, targets in given]
        for run in runs[first:]:
            run.refuse_bad_plan()
        if state is None:
            runs[0].try_rows()
            state = self._row.begin(self._checksum)
        else:
            self.runner.observer.note(f"{self.migration.id}: resuming after {state.rows:,} rows")
        resumed = state.batches > 0
        try:
            with stopping(stop):
                for run in runs[first:]:
                    self._batches_sent = run.batches
                    waiting.shown = run.batches.shown
                    run.batches.begin(state)
                    if not resumed:
                        for finding in run.targets.findings:
                            self.runner.observer.note(f"{self.migration.id}: {finding}")
                    if run is not runs[0] and not resumed:
                        run.try_rows()
                    resumed = False
                    run.run()
                    state = state.next_statement(self._lines(run))
                    if run is not runs[-1]:
                        run.batches.begin(state)
                        run.batches.save()
                self._record()
        except KeyboardInterrupt:
            assert self._batches_sent
            rows = f"{self._batches_sent.state.rows:,} rows are done and stay; the next pgyoyo apply resumes there"
            self.runner.observer.note(f"{self.migration.id} stopped: {rows}")
            raise
        return Outcome(duration=(time.monotonic() - started) * 1000, notices=state.account)

    def check(self) -> None:
        """Ask what is asked before the first batch, of the catalog and of ten rows; what it tries is rolled back.

        Raises RefusedError for what can't run in batches.
        """
        for choices in self._statements:
            self._alone(self._targets(choices)).try_rows()

    def preview(self) -> str:
        """The statement of a batch of each statement, and PostgreSQL's plan for it; reads only, and sends no batch."""
        try:
            return "".join(self._alone(self._targets(choices)).preview() for choices in self._statements)
        except RefusedError as no:
            raise StatementError(f"{self.migration.apply.path}:{no.line}: {no.reason}") from None

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _targets(self, choices: Sequence[Batched]) -> Targets:
        conn = self.runner.conn
        targets = find(conn, choices, skip_triggers=self.limits.triggers == "skip")
        refuse_other_columns(conn, targets)
        if self.limits.functions != "fire":
            refuse_readers(conn, targets.slice, targets.reached, skipping=self.limits.triggers == "skip")
        targets = with_repeats(conn, with_references(conn, targets), triggers=self.limits.triggers)
        return in_order(conn, targets, self.limits.order)

    def _alone(self, targets: Targets) -> StatementRun:
        """A run of a statement that sends no batch."""
        return self._statement_run((targets.slice,), targets, self._waiting(Stop()))

    def _waiting(self, stop: Stop) -> Waiting:
        throttle = Throttle(self.runner.conn, self.limits, self.runner.observer.note)
        return Waiting(self.runner, self.migration, self.limits, throttle, stop)

    def _statement_run(self, choices: Sequence[Batched], targets: Targets, waiting: Waiting) -> StatementRun:
        batches = Batches(self.runner, self.migration, targets.slice, waiting, State())
        batches.shown = partial(self._shown, batches)
        return StatementRun(batches, targets, partial(self._targets, choices))

    def _at_once(self, every: Sequence[Targets]) -> Outcome:
        """Run the file in one transaction with its record, as any other; report on its rows."""
        runs = [self._alone(targets) for targets in every]
        for run in runs:
            run.refuse_costly()
        any_rows = [run.try_rows() for run in runs]
        outcome = self.runner.transaction([self.step])[0]
        for run in runs:
            if not any(any_rows):
                outcome.add_notice(self._named(run, f"no rows to {run.targets.slice.VERB}"))
            for table in run.targets.tables if may_look(run.targets) else ():
                for line in left_words(run.batches, table, run.targets.member(table)):
                    outcome.add_notice(line)
        return outcome

    def _lines(self, run: StatementRun) -> list[str]:
        first, *more = run.account()
        return [self._named(run, first), *more]

    def _named(self, run: StatementRun, words: str) -> str:
        """The words, with the statement in front where the file has several."""
        if len(self._statements) == 1:
            return words
        return f"line {run.targets.slice.line}, {run.targets.slice.statement.name}: {words}"

    @property
    def _row(self) -> Row:
        return Row(self.runner.conn, self.runner.schema, self.migration.hash, self.migration.id)

    def _resumed(self) -> State | None:
        """Where an earlier run was; raises DriftError where the file says something else since."""
        state = self._row.resume()
        if state and state.checksum != self._checksum:
            batched = self._statements[0][0]
            what = f"its {batched.VERB.upper()} was" if len(self._statements) == 1 else "its statements were"
            raise DriftError(
                f"{self.migration.apply.path}:{batched.line}: {what} changed after {state.rows:,} rows were "
                f"done; put back what ran, or begin again with the new one: pgyoyo settle {self.migration.id} --again"
            )
        return state

    @property
    def _checksum(self) -> str:
        texts = [self.step.script.text(choices[0].statement) for choices in self._statements]
        return hashlib.sha256(b";\n".join(texts).replace(b"\r\n", b"\n")).hexdigest()

    def _shown(self, batches: Batches, why: str) -> None:
        """Tell how far it is by now."""
        state = batches.state
        numbers = (state.rows, state.batches, state.worked, batches.fraction)
        progress = Progress(
            self.migration.id,
            self.migration.hash,
            *numbers,
            idle=0.0,
            running=True,
            busy=state.busy,
            done=state.statement,
        )
        words = f"{progress}  {why}" if why else str(progress)
        self.runner.observer.backfill(self.migration.id, progress.fraction, words)

    def _record(self) -> None:
        clear = ledger.bind(self.runner.conn, "backfill_clear", self.runner.schema, {"hash": self.migration.hash})
        self.runner.record([*RESET, *self.step.record.statements, clear], str(self.migration.apply.path))
