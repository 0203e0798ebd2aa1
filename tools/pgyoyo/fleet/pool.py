"""Work on many members at once: so many in all, so many a server, in order, until too many have failed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from pgyoyo.fleet.visit import FAILED, UNREACHABLE

if TYPE_CHECKING:
    from pgyoyo.fleet.members import Member
    from pgyoyo.fleet.visit import Visit

T = TypeVar("T")
_LOOK = 0.1  # seconds between two looks at whether the run is to end


@dataclass(slots=True)
class Pool(Generic[T]):
    """Visits members, `jobs` at a time and on each server as many as it has room for; the caller's thread only waits.

    `ends` says that no further member is begun; those in hand, `at_work`, are finished all the same. `tick` is called about
    every 100 ms meanwhile.
    """

    jobs: int
    room: Callable[[str], int]
    ends: bool = False
    tick: Callable[[], None] = lambda: None
    at_work: dict[Future[T], Member] = field(default_factory=dict)

    def run(self, members: Sequence[Member], work: Callable[[Member], T]) -> Iterator[T]:
        """What the work gives, as it ends. A member whose server has no room waits, and those behind it go first."""
        waiting = deque(members)
        busy: Counter[str] = Counter()
        with ThreadPoolExecutor(
            max_workers=min(self.jobs, max(len(members), 1)), thread_name_prefix="fleet"
        ) as threads:
            while waiting or self.at_work:
                held: deque[Member] = deque()
                while waiting and len(self.at_work) < self.jobs and not self.ends:
                    member = waiting.popleft()
                    if busy[member.server] >= self.room(member.server):
                        held.append(member)
                        if len(held) > self.jobs * 4:
                            break
                        continue
                    busy[member.server] += 1
                    self.at_work[threads.submit(work, member)] = member
                waiting.extendleft(reversed(held))
                if self.ends and not self.at_work:
                    return
                self.tick()
                done, _ = wait(self.at_work, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    member = self.at_work.pop(future)
                    busy[member.server] -= 1
                    yield future.result()


def is_failure(visit: Visit) -> bool:
    """Whether it counts for the number of failures that a run allows."""
    return visit.state in (FAILED, UNREACHABLE)
