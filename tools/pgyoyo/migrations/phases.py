"""Which pending migrations run before a deployment, and which after it: those with phase: contract in their header."""

from collections.abc import Callable, Sequence

from pgyoyo.errors import UsageError
from pgyoyo.migrations import later
from pgyoyo.migrations.later import Held
from pgyoyo.migrations.migration import Migration
from pgyoyo.sql.header import CONTRACT, PHASES

# What a contract migration takes away, the old release may still use.
_PENDING = (
    "a contract migration that is pending; apply that first, once the old release runs nowhere any more: "
    "pgyoyo apply --phase contract"
)


def selection(phase: str | None) -> Callable[[Sequence[Migration]], list[Migration]]:
    """What takes from the pending migrations those of a phase; without one, all of them.

    Raises UsageError for a phase that there is not; what it returns, as `split` does.
    """
    _must_be_one(phase)
    return (lambda pending: split(pending, phase)[0]) if phase else list


def is_of(migration: Migration, phase: str | None) -> bool:
    """Whether a migration is of that phase, or of any where none is given; one without a phase is of the expand phase.

    Raises UsageError for a phase that there is not.
    """
    _must_be_one(phase)
    return phase is None or _contracts(migration) == (phase == CONTRACT)


def split(pending: Sequence[Migration], phase: str) -> tuple[list[Migration], list[Held]]:
    """The pending migrations to apply in a phase, and the contract ones that are left, each with the reason.

    Before the deployment (expand) these are all but the contract ones; after it (contract) the contract ones up to the first
    of another phase. Raises UsageError for a migration that depends on a contract one which is left out with it, and where
    all contract ones have to wait.
    """
    if phase != CONTRACT:
        return _before_deployment(pending)
    now, held, earlier = [], [], ""
    for migration in pending:
        if not _contracts(migration):
            earlier = earlier or migration.id
        elif earlier:
            held.append(Held(migration, f"stands after {earlier}, which is pending"))
        else:
            now.append(migration)
    if held and not now:
        raise UsageError(
            f"{held[0].migration.id} {held[0].reason} and no contract migration; apply that before the deployment: "
            "pgyoyo apply --phase expand"
        )
    return now, held


def _must_be_one(phase: str | None) -> None:
    if phase and phase not in PHASES:
        raise UsageError(f'the phase is "{phase}"; it must be expand or contract')


def _contracts(migration: Migration) -> bool:
    return migration.apply.header.phase == CONTRACT


def _before_deployment(pending: Sequence[Migration]) -> tuple[list[Migration], list[Held]]:
    now: list[Migration] = []
    left: dict[str, Held] = {}
    makers: dict[str, str] = {}
    for migration in pending:
        if _contracts(migration):
            left[migration.id] = Held(migration, "a contract migration")
            makers |= dict.fromkeys(sorted(later.made(migration)), migration.id)
            continue
        needed = next((name for name in migration.depends if name in left), None)
        if needed:
            raise UsageError(
                f"{migration.id} depends on {needed}, {_PENDING}; or let {migration.id} depend on an earlier one"
            )
        name = later.names_any(migration, makers)
        if name:
            raise UsageError(f"{migration.id} names {name}, which {makers[name]} makes, {_PENDING}")
        now.append(migration)
    return now, list(left.values())
