"""Migrations written in Python, read without running them.

Most projects have none: `texts` loads when it is used.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.migrations.python import texts

__all__ = ["texts"]
__getattr__ = gate(__name__, *__all__)
