"""All rollbacks in a chain, from the last one down, and what each leaves."""

from collections.abc import Sequence
from contextlib import ExitStack

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Change
from pgyoyo.errors import MigrationError, RollbackRefusedError
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import samples
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.history import History


class Unwinding:
    """The chain as far as it was run: `left` holds what remains after each rollback, `stuck` why one fails."""

    def __init__(self, history: History, order: Sequence[Migration]) -> None:
        self.left: dict[int, set[tuple[str, str]]] = {}
        self.stuck: dict[int, str] = {}
        self._history = history
        self._order = order

    def run(self, first: int, last: int) -> None:
        """Roll back all in a chain; `left` then holds for each what differs from how it was before it was applied.

        Where one can't be rolled back a new chain begins below it.
        """
        expected = self._history.to(first).snapshot()
        done: list[list[Change]] = []
        for i in range(first, last + 1):
            done.append(snapshot.difference(expected, self._history.to(i + 1).snapshot()))
            expected = self._history.to(i + 1).snapshot()
        expected = dict(expected)
        with ExitStack() as stack:
            copy = None
            for i in range(last, first - 1, -1):
                for change in done[i - first]:
                    expected.pop(change[:2], None)
                    if change.before is not None:
                        expected[change[:2]] = change.before
                try:
                    self._order[i].require_rollback()
                    copy = self._one_down(i, copy, stack)
                except (MigrationError, RollbackRefusedError) as error:
                    if isinstance(error, MigrationError):
                        self.stuck[i] = str(error)
                    stack.close()
                    copy = None
                else:
                    self.left[i] = {change[:2] for change in snapshot.difference(expected, copy.snapshot())}

    def _one_down(self, i: int, copy: ScratchDatabase | None, stack: ExitStack) -> ScratchDatabase:
        """The copy after one more rollback; a new one without sample rows where they are in its way."""
        for empty in (False, True):
            if copy is None:
                copy = stack.enter_context(self._history.fresh(i + 1))
                if not empty:
                    samples.fill(copy.conn, copy.tried, facts=copy)
            try:
                if self._order[i].id not in self._history.broken:
                    copy.run(self._order[i], "rollback")
            except MigrationError:
                if empty:
                    raise
                stack.close()
                copy = None
            else:
                break
        assert copy
        return copy

    def completed_by(self, i: int, keys: set[tuple[str, str]]) -> int | None:
        """Whose rollback in the chain makes whole what the rollback of the i-th alone does not."""
        while (left := self.left.get(i)) is not None:
            if not left & keys:
                return i
            i -= 1
        return None
