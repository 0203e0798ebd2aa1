"""How long to wait for a lock, and how long to pause before the next try."""

import random
from collections.abc import Iterator

import psycopg

from pgyoyo.units import time_words

# Everyone who queues behind our ALTER waits as long as this, so it stays far below what a person notices, and below
# deadlock_timeout (1 s), so that it is never an application's transaction that dies.
TIMEOUTS = (100, 250, 500, 1000)
TRIES_EACH = 10
GIVE_UP_AFTER = 600.0

RETRYABLE = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def tries(lock_timeout: int | None = None) -> Iterator[tuple[int, float]]:
    """Endless (lock_timeout in ms, pause in s after a failure): ten of each timeout, pauses growing to 30 s, jittered.

    A timeout of the file's own (lock_timeout) is kept for every try.
    """
    number = 0
    while True:
        timeout = TIMEOUTS[min(number // TRIES_EACH, len(TIMEOUTS) - 1)]
        pause = min(0.5 * 1.15**number, 30.0) * random.uniform(0.5, 1.5)  # noqa: S311 - spreads runners, guards nothing
        yield timeout if lock_timeout is None else lock_timeout, pause
        number += 1


def outlook(pause: float, left: float, *, again: bool, longer: int | None = None, own: int | None = None) -> str:
    """What comes next: another try after a pause, and until when; seconds.

    `longer` is the lock_timeout (ms) that outlasts the autovacuum in the way, `own` the file's, which is kept all the same.
    """
    if not again:
        return "giving up"
    words = f"retrying in {pause:.1f} s, giving up in {time_words(left * 1000)}"
    if longer is None:
        return words
    if own is None:
        return (
            f"{words}; an autovacuum gives way after deadlock_timeout, so the next attempt waits {time_words(longer)}"
        )
    return f"{words}; an autovacuum gives way only to a lock-timeout of {time_words(longer)}, above deadlock_timeout"
