"""Reads what other migration tools keep, files and ledgers, and writes it as pairs of files.

What is asked of a database without a ledger of ours loads when it is used.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.importing import ledgers, source

__all__ = ["ledgers", "source"]
__getattr__ = gate(__name__, *__all__)
