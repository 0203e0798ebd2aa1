"""Pure-SQL PostgreSQL migrations with proof, driven by yoyo-migrations."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgyoyo import aio, environments, errors, extensions, yoyo_ini  # noqa: F401
    from pgyoyo.library import apply, pending, rollback, status, wait_until_applied
    from pgyoyo.reports import Observer
    from pgyoyo.results import Applied, AppliedMigration, RolledBack, Status

__version__ = "0.1.0"
__all__ = [
    "Applied",
    "AppliedMigration",
    "Observer",
    "RolledBack",
    "Status",
    "apply",
    "pending",
    "rollback",
    "status",
    "wait_until_applied",
]

_RARE = ("environments", "extensions", "yoyo_ini")  # of our own, for few projects or runs
_HOMES = dict.fromkeys(("apply", "pending", "rollback", "status", "wait_until_applied"), "library") | {
    "Observer": "reports",
    **dict.fromkeys(("Applied", "AppliedMigration", "RolledBack", "Status"), "results"),
}


def __getattr__(name: str) -> Any:
    """What the library offers, loaded when it is asked for: the package alone loads nothing."""
    if name in ("aio", "errors", *_RARE):
        return import_module(f"pgyoyo.{name}")
    if name in _HOMES:
        return getattr(import_module(f"pgyoyo.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
