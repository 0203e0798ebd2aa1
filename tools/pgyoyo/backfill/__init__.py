"""A backfill: UPDATE, DELETE and INSERT … SELECT as many short transactions.

What runs one loads when it is used.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.backfill import job

__all__ = ["job"]
__getattr__ = gate(__name__, *__all__)
