"""Migrations proved beside other work, or beside each other, on sessions and threads of their own."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, Event
from types import TracebackType

from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.prove import prover
from pgyoyo.prove.proof import Proof
from pgyoyo.scratch import databases, present_roles, shared
from pgyoyo.scratch.defaults import NONE, Defaults
from pgyoyo.scratch.states import After

# The time goes into the server's work, so a few sessions are as many as it has use for.
WORKERS = 2
# Fewer are not worth another thread and its databases.
WORTH_A_WORKER = 20
# So many in a row are proved in one database, and the proofs still come nearly in order.
_IN_A_ROW = 20
_LOOK = 0.2  # seconds between two looks at how far they are


def prove(
    admin: Connection, folders: Folders, console: Console, *, ids: Sequence[str] = (), start: str | None = None,
    chain: bool = False, alone: bool = True, defaults: Defaults = NONE,
) -> Iterator[Proof]:  # fmt: skip
    """As `prover.prove`, in the same order; several at once where they are many, and can't get into each other's way."""
    order, chosen = prover.asked(admin, folders, console, ids=ids, start=start, alone=alone)
    many = len(chosen) >= 2 * WORTH_A_WORKER and not chain and not shared.reaches_out(order)
    if not chosen:
        return
    with shared.restored(admin, order, console):
        order = [*present_roles.left_alone(order, present_roles.those_of(admin, order), console)]
        if not many:
            yield from prover.proofs(admin, order, chosen, console, chain=chain, defaults=defaults)
            return
        seen: set[str] = set()
        with Proving(connection.again(admin.info), order, sorted(chosen), defaults, console) as proving:
            for proof in proving.in_order():
                repeated = seen & set(proof.of_tables)
                proof.notes = [note for note in proof.notes if note not in repeated]
                seen.update(proof.of_tables)
                yield proof


class Proving:
    """Proves the migrations at the places `chosen` of `order`; it begins with the block, and ends with it at the latest.

    The sessions begin with `defaults`; `start` is where the first of them may begin, as for a History. When the block ends
    early, what is under way is finished, and no more begun.
    """

    def __init__(
        self,
        conninfo: str,
        order: Sequence[Migration],
        chosen: Sequence[int],
        defaults: Defaults = NONE,
        console: Console | None = None,
        start: After | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._order = order
        self._chosen = chosen
        self._defaults = defaults
        self._console = console or Console(quiet=True)
        self._found: dict[str, Proof] = {}
        self._more = Condition()
        self._stop = Event()
        self._start = start
        count = max(1, min(WORKERS, len(chosen) // WORTH_A_WORKER))
        rows = [chosen[start : start + _IN_A_ROW] for start in range(0, len(chosen), _IN_A_ROW)]
        self._parts = [part for k in range(count) if (part := [i for row in rows[k::count] for i in row])]
        self._pool = ThreadPoolExecutor(WORKERS, "pgyoyo-prove")
        self._work: list[Future[None]] = []

    def __enter__(self) -> "Proving":
        starts = [self._start, *[None] * len(self._parts)]
        self._work = [self._pool.submit(self._prove, *each) for each in zip(self._parts, starts, strict=False)]
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

    def in_order(self) -> Iterator[Proof]:
        """The proofs, each as soon as it and those before it are there; raises what prove.proofs raises.

        One that was not chosen and can't be applied comes before the first one whose state lacks it.
        """
        asked = {self._order[i].id for i in self._chosen}
        given: set[str] = set()
        for i in self._chosen:
            self._await(self._order[i].id)
            unasked = [migration.id for migration in self._order[:i] if migration.id not in asked]
            for name in [*unasked, self._order[i].id]:
                if name in self._found and name not in given:
                    given.add(name)
                    yield self._found[name]

    def _await(self, migration_id: str) -> None:
        with self._more:
            while migration_id not in self._found and not all(task.done() for task in self._work):
                self._more.wait(_LOOK)
        for task in self._work:
            if task.done():
                task.result()

    def _prove(self, part: Sequence[int], start: After | None) -> None:
        mine = {self._order[i].id for i in part}
        theirs: Collection[str] = {self._order[i].id for i in self._chosen} - mine
        with databases.server(self._conninfo) as admin:
            order = self._order[: part[-1] + 1]
            for proof in prover.proofs(admin, order, part, self._console, defaults=self._defaults, start=start):
                if proof.id not in theirs:
                    with self._more:
                        self._found.setdefault(proof.id, proof)
                        self._more.notify_all()
                if self._stop.is_set():
                    return


def _is_done(task: Future[None]) -> bool:
    try:
        task.exception(timeout=_LOOK)
    except TimeoutError:
        return False
    return True
