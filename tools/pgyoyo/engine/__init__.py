"""One session: connection, lock, ledger, transactions, errors with a place.

What only some files need loads when it is used.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.engine import difference, stepwise

__all__ = ["difference", "stepwise"]
__getattr__ = gate(__name__, *__all__)
