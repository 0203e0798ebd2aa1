"""The queries of backfills."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pgyoyo.queries import named

_FILES = ("tables.sql", "functions.sql", "throttle.sql", "state.sql")


@cache
def queries() -> Mapping[str, str]:
    """The named queries of the room's .sql files, with the condition `fires` where a query asks for it."""
    texts = {name: text for file in _FILES for name, text in named(Path(__file__).with_name(file)).items()}
    fires = texts.pop("fires")
    return {name: text.replace("{fires}", fires) for name, text in texts.items()}
