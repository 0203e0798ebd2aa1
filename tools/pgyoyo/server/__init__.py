"""The embedded PostgreSQL.

A run on another server, or with the project's own version, needs neither of these.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.server import installs, postgres, scratch_server

__all__ = ["installs", "postgres", "scratch_server"]
__getattr__ = gate(__name__, *__all__)
