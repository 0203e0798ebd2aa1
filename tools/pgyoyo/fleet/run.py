"""A run over a fleet: the canary, then the groups one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pgyoyo.fleet import canary
from pgyoyo.fleet.pool import Pool, is_failure
from pgyoyo.fleet.visit import (
    AT_HEAD,
    DONE,
    DRIFT,
    FAILED,
    HELD,
    INTERRUPTED,
    LOCKED,
    PENDING,
    UNCHANGED,
    UNREACHABLE,
    Visit,
)  # fmt: skip
from pgyoyo.text import printable_line
from pgyoyo.units import number, several

if TYPE_CHECKING:
    from pgyoyo.fleet.definition import Fleet
    from pgyoyo.fleet.members import Member
    from pgyoyo.fleet.visit import Visitor
    from pgyoyo.migrator import Migrator

    # What is done at a member, with what watches it where its cost is to be measured.
    Work = Callable[[Member, Callable[[Migrator], canary.Watch] | None], Visit]


@dataclass(slots=True)
class Run:
    """What happens to a fleet; `say` gets lines for people, `check` finds what is wrong at members some time after their run.

    After it, `reason` says why it ended before its last member, "" if it did not, `left` how many were not visited.
    """

    fleet: Fleet
    members: Sequence[Member]
    visitor: Visitor
    say: Callable[[str], None]
    check: Callable[[Sequence[Member]], list[str]] = lambda _: []
    canary_ids: Sequence[str] = ()
    reason: str = ""
    left: int = 0
    is_interrupted: bool = False
    pool: Pool[Visit] | None = None
    _failures: int = 0
    _is_backwards: bool = False
    _parked: dict[str, str] = field(default_factory=dict)

    def interrupt(self) -> None:
        """The first time, end with the members in hand; after that, cancel what they do."""
        self.visitor.sessions.is_cancelled = self.is_interrupted
        self.is_interrupted = True
        if self.pool:
            self.pool.ends = True

    def apply(self) -> Iterator[Visit]:
        """Apply at all members; the visits as they end."""
        yield from self._all(self.visitor.apply, has_canary=True)

    def rollback(self) -> Iterator[Visit]:
        """Roll back at all members, those of the last group first."""
        self._is_backwards = True
        yield from self._all(self.visitor.rollback, has_canary=False)

    def look(self) -> Iterator[Visit]:
        """Where all members stand."""
        self.left = len(self.members)
        for visit in self._pooled(self.members, self.visitor.look):
            self.left -= 1
            yield visit

    def _all(self, work: Work, *, has_canary: bool) -> Iterator[Visit]:
        members, visited = list(self.members), set[str]()
        if has_canary and (self.canary_ids or self.fleet.limits.canaries(len(members))):
            for visit in self._canaries(members, work):
                visited.add(visit.member.id)
                yield visit
        groups = sorted({member.group for member in members}, reverse=self._is_backwards)
        for group in groups:
            rest = [member for member in members if member.group == group and member.id not in visited]
            if self._is_over:
                self.left += len(rest)
                continue
            for visit in self._pooled(rest, self._held_or(work)):
                visited.add(visit.member.id)
                self._note(visit)
                yield visit
            self.left += sum(member.id not in visited for member in rest)
        if self.is_interrupted and not self.reason:
            self.reason = "interrupted"

    def _canaries(self, members: Sequence[Member], work: Work) -> Iterator[Visit]:
        """The first members with something to do, one after the other; and those at head that stand before them."""
        rest = [member for member in members if member.id in self.canary_ids] or list(members)
        wanted = len(self.canary_ids) or self.fleet.limits.canaries(len(members))
        tried: list[Member] = []
        run = self._held_or(work, watch=canary.Watch)
        step = self.fleet.limits.jobs_for(len(members), 1) * 4
        for start in range(0, len(rest), step):
            chunk = rest[start : start + step]
            seen = {visit.member.id: visit for visit in self._pooled(chunk, self.visitor.look)}
            for member in chunk:
                visit = seen.get(member.id)
                if self._is_over or len(tried) == wanted or visit is None:
                    break
                if visit.state == AT_HEAD and not self.visitor.folders[member.group].hooks:
                    yield replace(visit, state=UNCHANGED)
                elif visit.state == PENDING:
                    visit = run(member)
                    # One with nothing up to the target tries nothing.
                    if visit.state != UNCHANGED or self.visitor.folders[member.group].hooks:
                        tried.append(member)
                        self._judge(visit)
                    yield visit
            if self._is_over or len(tried) == wanted:
                break
        if tried and not self._is_over and self.fleet.limits.bake:
            self._bake(tried)

    def _judge(self, visit: Visit) -> None:
        """End the run where a canary failed, or cost more than the limits allow."""
        self._note(visit)
        name = printable_line(visit.member.id)
        if visit.state not in (DONE, UNCHANGED):
            self.reason = f"the canary {name} ended as {visit.state}; no further member was begun"
        elif visit.cost:
            self.say(f"canary {name}: {visit.cost}")
            if faults := visit.cost.beyond(self.fleet.limits):
                self.reason = f"the canary {name} cost too much: {'; '.join(faults)}; no further member was begun"

    def _bake(self, members: Sequence[Member]) -> None:
        """Wait, then look again at the canaries; what is wrong there ends the run."""
        self.say(f"waiting after {several([member.id for member in members])}, then looking at it again")
        self.visitor.sessions.close()
        end = time.monotonic() + self.fleet.limits.bake
        while time.monotonic() < end:
            if self.is_interrupted:
                return
            time.sleep(min(0.1, max(0.0, end - time.monotonic())))
        if faults := self.check(members):
            self.reason = f"the canary is not well: {'; '.join(faults)}; no further member was begun"

    def _pooled(self, members: Sequence[Member], work: Callable[[Member], Visit]) -> Iterator[Visit]:
        jobs = self.fleet.limits.jobs_for(len(members), len({member.server for member in members}))
        self.pool = Pool(jobs, self.visitor.sessions.room, ends=self.is_interrupted, tick=self._cancel)
        yield from self.pool.run(members, work)

    def _cancel(self) -> None:
        """Cancel what is at work, again and again: a session that pauses between two tries has nothing to cancel."""
        if self.visitor.sessions.is_cancelled:
            self.visitor.sessions.cancel()

    def _held_or(
        self, work: Work, watch: Callable[[Migrator], canary.Watch] | None = None
    ) -> Callable[[Member], Visit]:
        """The work, but for a member whose database waits for others that failed."""

        def visit(member: Member) -> Visit:
            reason = self._parked.get(member.plain)
            if reason and (not self._is_backwards or self._is_shared(member)):
                return Visit(member, HELD, message=reason)
            return work(member, watch)

        return visit

    def _note(self, visit: Visit) -> None:
        if is_failure(visit):
            self._failures += 1
        member = visit.member
        if visit.state not in (DONE, UNCHANGED) and (self._is_backwards or self._is_shared(member)):
            self._parked.setdefault(member.plain, f"{member.id}, which comes first, ended as {visit.state}")
        allowed = self.fleet.limits.failures_allowed(len(self.members))
        if allowed and self._failures >= allowed and not self.reason:
            self.reason = f"{number(self._failures, 'member')} failed, and max-failures is {allowed}"
            if self.pool:
                self.pool.ends = True

    def _is_shared(self, member: Member) -> bool:
        """Whether its group has migrations of its own, on which the other members of its database depend."""
        groups = self.fleet.groups
        return member.group < len(groups) and bool(groups[member.group].migrations)

    @property
    def _is_over(self) -> bool:
        return bool(self.reason) or self.is_interrupted


def exit_code(states: dict[str, int], run: Run) -> int:
    """The exit code of a run, as that of a single apply: the worst that happened."""
    if run.is_interrupted:
        return 130
    if run.reason or any(states.get(state) for state in (FAILED, UNREACHABLE, HELD, INTERRUPTED)):
        return 1
    if states.get(DRIFT):
        return 4
    return 5 if states.get(LOCKED) else 0
