"""A table on a terminal that shows how far a run over a fleet is; rich is loaded only here."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pgyoyo.fleet.pool import is_failure
from pgyoyo.text import printable, printable_line
from pgyoyo.units import time_words

if TYPE_CHECKING:
    from pgyoyo.fleet.run import Run
    from pgyoyo.fleet.visit import Visit


class Progress:
    """Counts the visits of each group, for as long as its block lasts."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._totals = Counter(member.group for member in run.members)
        self._done: Counter[int] = Counter()
        self._parked: Counter[int] = Counter()
        self._slowest: Visit | None = None
        self._since = time.monotonic()
        self._live = Live(
            get_renderable=self._table, console=Console(file=sys.stdout), refresh_per_second=4, transient=True
        )

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """The table is on the screen meanwhile, and gone afterwards."""
        with self._live:
            yield self

    def add(self, visit: Visit) -> None:
        """Count a visit."""
        self._done[visit.member.group] += 1
        self._parked[visit.member.group] += is_failure(visit)
        if self._slowest is None or visit.seconds > self._slowest.seconds:
            self._slowest = visit

    def print(self, text: str) -> None:
        """A line above the table."""
        self._live.console.print(Text(printable(text)))

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for name in ("group", "members", "done", "running", "waiting", "failed"):
            table.add_column(name, justify="left" if name == "group" else "right")
        pool = self._run.pool
        running = Counter(member.group for member in list(pool.at_work.values())) if pool else Counter[int]()
        groups = self._run.fleet.groups
        for group, total in sorted(self._totals.items()):
            name = groups[group].name if group < len(groups) else self._run.fleet.name
            waiting = total - self._done[group] - running[group]
            counts = (total, self._done[group], running[group], max(waiting, 0), self._parked[group])
            table.add_row(Text(printable_line(name)), *map(str, counts))
        names = ", ".join(member.id for member in list(pool.at_work.values())[:4]) if pool else ""
        slowest = self._slowest
        words = f"  slowest: {slowest.member.id} ({time_words(slowest.seconds * 1000)})" if slowest else ""
        return Group(table, Text(f"{self._left()}{printable_line(words)}  {printable_line(names)}"))

    def _left(self) -> str:
        done, total = self._done.total(), self._totals.total()
        elapsed = time.monotonic() - self._since
        if not done:
            return f"{time_words(elapsed * 1000)}"
        return f"{time_words(elapsed * 1000)}, about {time_words(elapsed / done * (total - done) * 1000)} left"
