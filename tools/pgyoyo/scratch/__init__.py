"""Scratch databases, at any point of the history, with sample rows.

What few runs of a command or of the plugin need loads when it is used; `copies` loads yoyo.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.scratch import copies, defaults, rights, shared

__all__ = ["copies", "defaults", "rights", "shared"]
__getattr__ = gate(__name__, *__all__)
