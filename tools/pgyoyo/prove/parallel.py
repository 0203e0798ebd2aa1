"""Rollbacks proved beside other work, on sessions and threads of their own."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType

from pgyoyo.console import Console
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove import prover
from pgyoyo.prove.proof import Proof
from pgyoyo.scratch import databases
from pgyoyo.scratch.defaults import NONE, Defaults

# The time goes into the server's work, so a few sessions are as many as it has use for.
WORKERS = 2
# Fewer are not worth another thread and its databases.
WORTH_A_WORKER = 20
_LOOK = 0.2  # seconds between two looks at how far they are


class Proving:
    """Proves the migrations at the places `chosen` of `order`; it begins with the block, and ends with it at the latest.

    The sessions begin with `defaults`. When the block ends early, what is under way is finished, and no more begun.
    """

    def __init__(
        self, conninfo: str, order: Sequence[Migration], chosen: Sequence[int], defaults: Defaults = NONE
    ) -> None:
        self._conninfo = conninfo
        self._order = order
        self._defaults = defaults
        self._found: dict[str, Proof] = {}
        self._stop = Event()
        count = max(1, min(WORKERS, len(chosen) // WORTH_A_WORKER))
        size = -(-len(chosen) // count)
        self._parts = [chosen[start : start + size] for start in range(0, len(chosen), size)] if chosen else []
        self._pool = ThreadPoolExecutor(WORKERS, "pgyoyo-prove")
        self._work: list[Future[None]] = []

    def __enter__(self) -> "Proving":
        self._work = [self._pool.submit(self._prove, part) for part in self._parts]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True)

    def wait(self, say: Callable[[int], None]) -> dict[str, Proof]:
        """All proofs by id; `say` gets the number of those that are ready. Raises what prove.proofs raises."""
        for task in self._work:
            while not _is_done(task):
                say(len(self._found))
            task.result()
        return self._found

    def _prove(self, part: Sequence[int]) -> None:
        with databases.server(self._conninfo) as admin:
            order, console = self._order[: part[-1] + 1], Console(quiet=True)
            for proof in prover.proofs(admin, order, part, console, defaults=self._defaults):
                self._found[proof.id] = proof
                if self._stop.is_set():
                    return


def _is_done(task: Future[None]) -> bool:
    try:
        task.exception(timeout=_LOOK)
    except TimeoutError:
        return False
    return True
