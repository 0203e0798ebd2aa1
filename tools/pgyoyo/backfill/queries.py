"""The queries of backfills."""

from collections.abc import Mapping
from pathlib import Path

from pgyoyo.queries import named


def queries() -> Mapping[str, str]:
    """The named queries of backfill.sql."""
    return named(Path(__file__).with_name("backfill.sql"))
