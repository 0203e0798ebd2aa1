"""Modules that load when they are first used: importing the room that they stand in loads none of them."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def gate(room: str, *modules: str) -> Callable[[str], ModuleType]:
    """The `__getattr__` of a room that loads these of its modules when they are asked for: `sql.parser` after `import sql`.

    The room imports them for the type checker too, under TYPE_CHECKING.
    """

    def load(name: str) -> ModuleType:
        if name in modules:
            return import_module(f"{room}.{name}")
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return load
