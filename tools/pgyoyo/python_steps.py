"""The steps of a Python migration that only Python can run, run by yoyo in one transaction with their record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgyoyo.engine.message import RESET

if TYPE_CHECKING:
    from pgyoyo.migrations.migration import Migration


def run(backend: Any, migration: Any, ours: Migration, operation: str, *, mark: bool = True) -> None:
    """Apply or roll back yoyo's own `migration` by our backend, and record it as `ours`, all or nothing.

    One that says `__transactional__ = False` has its record behind its steps, and nothing of those is undone on failure. Only
    the plain command comes here: pgyoyo's own commands run no Python. Raises what a step raises.
    """
    executor, conn = backend.executor, backend.connection
    executor.prepare()
    migration.load()
    steps = migration.steps if operation == "apply" else migration.steps[::-1]
    record = executor.records.of(ours, operation, mark=mark)
    opening = ";\n".join(["BEGIN READ WRITE", *record.opening]).encode()
    closing = ";\n".join([*RESET, *record.closing, "COMMIT"]).encode()
    if not migration.use_transactions:
        for step in steps:
            getattr(step, operation)(backend)
        conn.execute(opening)
        conn.execute(closing)
        return
    conn.execute(opening)
    # yoyo then gives each step a savepoint, so that the errors it is to ignore undo no more than that step.
    backend.transaction_is_open(yes=True)
    try:
        for step in steps:
            getattr(step, operation)(backend)
        conn.execute(closing)
    except BaseException:
        if not conn.closed:
            conn.execute("ROLLBACK")
        raise
    finally:
        backend.transaction_is_open(yes=False)
