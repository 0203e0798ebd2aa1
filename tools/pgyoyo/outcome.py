"""What stands after a run that ended early: every such message ends with it, and with the next command."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pgyoyo.errors import ConnectionLostError, MigrationError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.plan import Comparison
from pgyoyo.units import several


@contextmanager
def explaining(
    group: Sequence[Migration], operation: str, comparison: Comparison, done: Sequence[str]
) -> Iterator[None]:
    """Adds to a failure what stands now, and which command comes next."""
    one = group[0].id
    try:
        yield
    except StatementError as error:
        one = group[error.step].id
        how = "failed and was rolled back"
        if error.started:
            how = "stopped; what its statements did so far stays, and the next run goes on from there"
        if len(group) > 1:
            how += f", and with it all {len(group)} of this run"
        raise MigrationError(f"{error}\n{one} {how}; {_state(operation, comparison, done)}") from None
    except ConnectionLostError as error:
        verb = {"rollback": "rolled back"}.get(operation, "applied")
        what = {
            True: f"looked up afterwards: {one} is {verb}",
            False: f"looked up afterwards: {one} is not {verb}",
            None: f"whether {one} is {verb} could not be looked up; `pgyoyo status` tells",
        }[error.done]
        if operation == "hook":
            what = f"whether {one} ran to its end is not known: see for yourself, and run it by hand if it did not"
        done = [*done, *(m.id for m in group)] if error.done else done
        state = _state(operation, comparison, done, advice="Run again")
        raise MigrationError(f"{error}\n{what}; {state}") from None


def _state(operation: str, comparison: Comparison, done: Sequence[str], *, advice: str = "") -> str:
    """What is applied and what is pending after a run that ended early, and the command that comes next."""
    applied = [row.id for row in comparison.applied]
    if operation == "rollback":
        remaining = [name for name in applied if name not in done]
        verb = "remains" if len(remaining) == 1 else "remain"
        words = f"{several(remaining[::-1])} {verb} applied" if remaining else "nothing is applied"
        return f"{words}. {advice or 'Mend the rollback file, then run'}: pgyoyo rollback"
    applied += done
    pending = [m.id for m in comparison.pending if m.id not in done]
    last = f"{applied[-1]} and earlier remain applied" if len(applied) > 1 else (
        f"{applied[0]} remains applied" if applied else "nothing is applied")  # fmt: skip
    verb = "is" if len(pending) == 1 else "are"
    tail = f"; {several(pending)} {verb} pending" if pending else ""
    return f"{last}{tail}. {advice or 'Mend the file, then run'}: pgyoyo apply"
