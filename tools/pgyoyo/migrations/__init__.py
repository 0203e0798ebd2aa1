"""Files on disk, read into migrations; the plan."""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.migrations import later, nothing

__all__ = ["later", "nothing"]
# What is held back is asked for by few commands.
__getattr__ = gate(__name__, *__all__)
