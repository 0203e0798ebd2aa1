"""One statement of a backfill: its tables one after the other, each page by page, and the account of it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import psycopg

from pgyoyo.backfill.batch import Batches
from pgyoyo.backfill.pacing import Cursor
from pgyoyo.backfill.plans import block_faults, cost_fault, plan_faults
from pgyoyo.backfill.table_pass import TablePass
from pgyoyo.backfill.tables import Targets, rows
from pgyoyo.backfill.trigger_check import TriggerCheck
from pgyoyo.backfill.vacuum import last_vacuum, vacuum
from pgyoyo.errors import StatementError
from pgyoyo.sql.batched import RefusedError
from pgyoyo.sql.insert import BatchedInsert
from pgyoyo.text import printable_line
from pgyoyo.units import number, size_words

# Pages of a trial batch, which is rolled back.
_TRIAL_PAGES = 4


@dataclass(slots=True)
class StatementRun:
    """Runs one statement in batches; `look` finds its tables, again for partitions that are attached meanwhile."""

    batches: Batches
    targets: Targets
    look: Callable[[], Targets]

    def try_rows(self) -> bool:
        """Try some rows of each table; whether there were any. Raises RefusedError."""
        check = TriggerCheck(self.batches, self.targets)
        tried = [check.sampled(table, self.targets.member(table)) for table in self.targets.tables]
        return any(tried)

    def refuse_bad_plan(self) -> None:
        """Raises RefusedError where each batch would read a whole table, or far more blocks than its rows need."""
        targets = self.targets
        which = Cursor(0, 64, 0, 0).condition(64, 16)
        for table, waiting in product(targets.tables, (True, False) if targets.slice.LOCK else (True,)):
            plan = self._plan(targets.slice.batch(which, member=targets.member(table), waiting=waiting))
            if faults := plan_faults(self.batches.runner.conn, plan, targets):
                raise RefusedError(targets.slice.line, f"can't run in batches: {faults[0]}")
        for table in targets.tables if targets.slice.also_reads else ():
            middle = max(0, table.pages - _TRIAL_PAGES) // 2
            which = Cursor(middle, page=middle).condition(middle + _TRIAL_PAGES, 1)
            statement = targets.slice.batch(which, member=targets.member(table), waiting=True)
            query = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
            try:
                faults = block_faults(self.batches.read(query, statement)[0][0], targets)
            except psycopg.errors.QueryCanceled:
                faults = [f"a trial batch of {_TRIAL_PAGES} pages of {table.name} took longer than statement_timeout"]
            if faults:
                raise RefusedError(targets.slice.line, f"can't run in batches: {faults[0]}")

    def refuse_costly(self) -> None:
        """Raises RefusedError where the statement, done at once, would read far more of other tables than its rows need."""
        targets = self.targets
        if not targets.slice.also_reads or not targets.tables:
            return
        text = targets.slice.text
        plan = self.batches.read(f"EXPLAIN (FORMAT JSON) {text}", text, freely=True)[0][0]
        if fault := cost_fault(self.batches.runner.conn, plan, targets):
            raise RefusedError(targets.slice.line, f"would hold its rows for long: {fault}")

    def preview(self) -> str:
        """The statement of a batch, and the plan that PostgreSQL has for it; reads only, and sends no batch."""
        batches, targets = self.batches, self.targets
        which = Cursor(0, 8192, 0, 0).condition(8192, 16 if targets.slice.IN_TURNS else 1)
        member = targets.member(targets.tables[0]) if targets.tables else None
        statement = targets.slice.batch(which, member=member, waiting=True)
        try:
            plan = [row[0] for row in batches.read(f"EXPLAIN {statement}", statement)]
            faults = plan_faults(batches.runner.conn, self._plan(statement), targets)
            lines = [*targets.findings, "the plan:", *plan, *(f"refused: {fault}" for fault in faults)]
        except StatementError as error:
            # What an earlier migration of the same run makes is not there yet.
            lines = ["no plan yet:", *str(error).splitlines()]
        settings = "".join(f"{text};\n" for text in batches.settings())
        return f"BEGIN;\n{settings}{statement};\nCOMMIT;\n" + "".join(f"-- {printable_line(line)}\n" for line in lines)

    def run(self) -> None:
        """Do all rows, table by table; a partition that is attached meanwhile comes last."""
        batches, state = self.batches, self.batches.state
        batches.cascades = self.targets.cascades
        if not state.horizon:
            [[state.horizon, state.lsn]] = rows(batches.runner.conn, "horizon", {})
            state.wal = 0.0
            if isinstance(batches.slice, BatchedInsert):
                [[state.heap_before, state.indexes_before]] = self._size()
        for (text,) in batches.waiting.row.execute("wait", {"waiting": ""}):
            batches.waiting.obey(text)
        if batches.waiting.throttle.by_wish():
            batches.waiting.rest(0.0)
        check = TriggerCheck(batches, self.targets)
        while left := [table for table in self.targets.tables if table.oid not in batches.state.finished]:
            sizes = {table.oid: max(1, table.pages) for table in self.targets.tables}
            for table in left:
                batches.before = sum(sizes.get(oid, 0) for oid in batches.state.finished) / sum(sizes.values())
                batches.weight = sizes[table.oid] / sum(sizes.values())
                batches.table = table.name
                table_pass = TablePass(batches, check, table, self.targets.member(table))
                table_pass.run()
                if not isinstance(batches.slice, BatchedInsert):
                    last_vacuum(batches, table, table_pass.gone)
                batches.state.finished = [*batches.state.finished, table.oid]
                batches.state.relation = None
                batches.save()
            self.targets = self.look()
        if isinstance(batches.slice, BatchedInsert):
            for table in self.targets.written:
                if table.kind == "r":
                    vacuum(batches, table.name, "ANALYZE, ")

    def account(self) -> list[str]:
        """What it did and what it cost, for the reader."""
        batches, state, batched = self.batches, self.batches.state, self.batches.slice
        if not state.rows:
            return [f"no rows to {batched.VERB}", *batches.left]
        heap = indexes = 0
        if isinstance(batched, BatchedInsert):
            [[heap, indexes]] = self._size()
        else:
            for table in self.targets.tables:
                for row in rows(batches.runner.conn, "state", {"oid": table.oid}):
                    heap, indexes = heap + row[2], indexes + row[3]
        rate = state.rows / max(state.worked, 0.001)
        sizes = [size_words(count) for count in (state.heap_before, heap, state.indexes_before, indexes)]
        name = batched.into[1] if isinstance(batched, BatchedInsert) else batched.table
        done = (
            f"{number(state.rows, 'row')} in {number(state.batches, 'batch')}, {rate:,.0f} rows/s, "
            f"{min(1.0, state.busy / max(state.worked, 0.001)):.0%} of the time in batches; longest batch "
            f"{state.longest_batch * 1000:.0f} ms, longest wait it caused: {state.longest_wait * 1000:.0f} ms"
        )
        size = (
            f"grew from {sizes[0]} to {sizes[1]}, its indexes from {sizes[2]} to {sizes[3]}"
            if sizes[::2] != sizes[1::2]
            else f"still has {sizes[1]}, its indexes {sizes[3]}"
        )
        cost = f"the server wrote {size_words(batches.wal)} of WAL meanwhile; {name} {size}"
        more = [f"foreign keys deleted or changed {count:,} rows of {table}" for table, count in state.cascaded.items()]
        return [done, *more, cost, *batches.left]

    def _size(self) -> list[Any]:
        return rows(self.batches.runner.conn, "size", {"table": self.batches.slice.written})

    def _plan(self, statement: str) -> Any:
        return self.batches.read(f"EXPLAIN (FORMAT JSON) {statement}", statement)[0][0]
