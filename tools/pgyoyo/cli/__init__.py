"""The command line."""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.cli import review_run

__all__ = ["review_run"]
__getattr__ = gate(__name__, *__all__)
