"""What every command begins with: its settings, and a way to say something beside its results."""

import os
from pathlib import Path

import click

import pgyoyo
from pgyoyo import settings
from pgyoyo.console import Console
from pgyoyo.errors import UsageError


def load(*, database: str | None = None, migrations: tuple[str, ...] = ()) -> settings.Settings:
    """The settings of this command; a command calls it once."""
    try:
        directory = Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder no longer exists; change to another one and run again") from None
    chosen: dict[str, str] = {}
    if context := click.get_current_context(silent=True):
        chosen = context.meta
    if name := chosen.get("pgyoyo.env-file"):
        for variable, value in pgyoyo.environments.read_file(Path(name)).items():
            os.environ.setdefault(variable, value)
    return settings.load(
        database=database,
        migrations=migrations,
        environ=os.environ,
        directory=directory,
        environment=chosen.get("pgyoyo.env"),
    )


def note(text: str) -> None:
    """A line about the server, on stderr."""
    Console().note(text)
