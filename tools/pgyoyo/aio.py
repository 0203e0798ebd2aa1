"""The library's calls for asyncio: each works in a thread, so that the loop goes on meanwhile.

They take what the library's own take and return and raise the same; an observer's methods run in the thread. A call whose
task is cancelled ends in its thread, as if it had not been: no migration is left half-done.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from pgyoyo import library

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _in_thread(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, Coroutine[Any, Any, _Result]]:
    @functools.wraps(call)
    async def awaitable(*args: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        return await asyncio.to_thread(call, *args, **options)

    return awaitable


apply = _in_thread(library.apply)
rollback = _in_thread(library.rollback)
status = _in_thread(library.status)
pending = _in_thread(library.pending)
wait_until_applied = _in_thread(library.wait_until_applied)
