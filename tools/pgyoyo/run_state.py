"""What stands after a run that ended early, and which command comes next."""

from collections.abc import Sequence
from dataclasses import replace
from shlex import quote

from pgyoyo.engine.failures import BY_HAND, next_step, sqlstate
from pgyoyo.errors import ConnectionLostError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Applied, Status
from pgyoyo.units import several

# A schema, table, column, function or another object is there already.
_THERE = ("42P06", "42P07", "42701", "42710", "42723")


def after(status: Status, done: Sequence[Migration], operation: str) -> Status:
    """The status when all these are done, `operation` being apply or rollback; the new rows say no more than their ids."""
    hashes = {migration.hash for migration in done}
    if operation == "rollback":
        return replace(status, applied=tuple(row for row in status.applied if row.hash not in hashes))
    applied = (*status.applied, *(Applied(migration.id, migration.hash, None) for migration in done))
    return replace(status, applied=applied, pending=tuple(m for m in status.pending if m.hash not in hashes))


def after_failure(error: StatementError, group: Sequence[Migration], operation: str, status: Status) -> str:
    """What stands after a failed statement, and the next command."""
    name = group[error.step].id
    if next_step(error) == BY_HAND:
        how = "stopped; what its statements did so far stays"
    elif error.started:
        how = "stopped; what its statements did so far stays, and the next run resumes there"
    else:
        how = "failed and was rolled back"
    if len(group) > 1:
        how += f", and with it all {len(group)} of this run"
    advice, file = next_step(error), group[error.step].rollback
    if advice == BY_HAND:
        advice += f", and record it: pgyoyo {'unmark' if operation == 'rollback' else 'mark'} {quote(name)}"
    if operation == "apply" and not status.applied and sqlstate(error.server_error) in _THERE:
        advice = "If the database has what these migrations make, record that: pgyoyo adopt. Else fix the file"
    if operation == "rollback" and advice == "Fix the file":
        advice = "Fix the rollback file"
        if file and file.is_stored:
            way = f"Undo it by hand and run: pgyoyo unmark {quote(name)}; or restore its files, with a rollback that works"
            return f"{name} {how}; {_standing(operation, status, '', way)}"
    return f"{name} {how}; {_standing(operation, status, advice)}"


def after_loss(error: ConnectionLostError, group: Sequence[Migration], operation: str, status: Status) -> str:
    """What stands after a lost connection, as far as it could be looked up, and the next command."""
    name, verb = group[0].id, "rolled back" if operation == "rollback" else "applied"
    what = {
        True: f"looked up afterwards: {name} is {verb}",
        False: f"looked up afterwards: {name} is not {verb}",
        None: f"whether {name} is {verb} could not be looked up; `pgyoyo status` shows it",
    }[error.done]
    if operation == "hook":
        what = (
            f"whether {name} ran to its end is not known; if the log has no row of that, the next apply runs it again"
        )
    elif error.done:
        status = after(status, group, operation)
    # To run it again could roll back another one.
    step = "Before you roll back more: pgyoyo status" if operation == "rollback" and error.done else ""
    return f"{what}; {_standing(operation, status, '', step)}"


def _standing(operation: str, status: Status, advice: str, step: str = "") -> str:
    """What is applied and what is pending after a run that ended early, and the command that comes next, or the step."""
    command = f"pgyoyo {'rollback' if operation == 'rollback' else 'apply'}"
    step = step or (f"{advice}, then run: {command}" if advice else f"Run again: {command}")
    applied = [row.id for row in status.applied]
    if operation == "rollback":
        verb = "remains" if len(applied) == 1 else "remain"
        words = f"{several(applied[::-1])} {verb} applied" if applied else "nothing is applied"
        return f"{words}. {step}"
    if len(applied) > 1:
        words = f"{applied[-1]} and earlier remain applied"
    else:
        words = f"{applied[0]} remains applied" if applied else "nothing is applied"
    pending = [m.id for m in status.pending]
    tail = f"; {several(pending)} {'is' if len(pending) == 1 else 'are'} pending" if pending else ""
    return f"{words}{tail}. {step}"
