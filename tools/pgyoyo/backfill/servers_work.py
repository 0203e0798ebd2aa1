"""What the server itself does meanwhile, for which a backfill takes less: autovacuum of its table, and checkpoints."""

import time
from collections import deque
from dataclasses import dataclass, field

# A backfill that makes room for an autovacuum rests as long as its batches take, for this long; seconds.
_AUTOVACUUM = 60.0
# As much as a batch takes, so many times, is the most that it rests for checkpoints.
_MOST_REST = 3.0


@dataclass(slots=True)
class Checkpoints:
    """Whether checkpoints are requested, as WAL fills max_wal_size, sooner than checkpoint_timeout asks for them; seconds."""

    rest: float = field(default=0.0, init=False)
    _known: int | None = field(default=None, init=False)
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=2), init=False)

    def see(self, requested: int, timeout: float, now: float | None = None) -> str:
        """Take the server's count of requested checkpoints; a line where that changes how long batches rest."""
        now = time.monotonic() if now is None else now
        before, self._known = self._known, requested
        if before is not None and requested > before:
            self._times.append(now)
            if (
                len(self._times) == 2
                and (apart := self._times[1] - self._times[0]) < timeout
                and self.rest < _MOST_REST
            ):
                self.rest += 1.0
                return (
                    f"checkpoints are requested {apart:.0f} s apart, sooner than checkpoint_timeout ({timeout:g} s), since "
                    f"so much WAL is written; batches rest {self.rest:g} times as long as they take"
                )
        elif self.rest and self._times and now - self._times[-1] > timeout:
            self.rest, self._times = 0.0, deque(maxlen=2)
            return "no checkpoint was requested for as long as checkpoint_timeout; batches rest no longer for them"
        return ""


@dataclass(slots=True)
class Autovacuums:
    """The autovacuums of the table that were seen, and since when; seconds."""

    rest: float = field(default=0.0, init=False)
    _since: dict[int, float] = field(default_factory=dict, init=False)

    def see(self, pid: int | None, now: float | None = None) -> bool:
        """Take the worker that is at work on the table, if there is one; whether it is a new one that batches rest for."""
        now = time.monotonic() if now is None else now
        is_new = pid is not None and pid not in self._since
        if pid is not None:
            self._since.setdefault(pid, now)
        self.rest = 1.0 if pid is not None and now - self._since[pid] < _AUTOVACUUM else 0.0
        return is_new
