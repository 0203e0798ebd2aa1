"""Django: its migrations are Python, which only Django itself can turn into SQL."""

from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Project

FOLDERS = (".",)


def read(folder: Path) -> Project:
    """Raises UsageError with the way that there is."""
    raise UsageError(
        f"{folder}: Django's migrations are Python, and only Django makes SQL of them; take what they made: "
        "migrate a database with Django, write its schema with `pgyoyo import database --database URL`, and record that "
        "with `pgyoyo adopt`"
    )
