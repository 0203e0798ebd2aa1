"""The databases of tests as a fleet's are: what its schemas share, and one schema with the migrations under test."""

from __future__ import annotations

import os
import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from psycopg import sql

from pgyoyo.engine import connection
from pgyoyo.engine.observer import SILENT
from pgyoyo.fleet import definition
from pgyoyo.fleet.shared import as_of
from pgyoyo.migrations import plan, reader
from pgyoyo.scratch.copies import ScratchDatabase

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pgyoyo.migrations.migration import Migration
    from pgyoyo.settings import Settings


@dataclass(frozen=True, slots=True)
class Tenant:
    """A schema that the migrations under test run in, behind those that the schema public has before."""

    schema: str
    shared: tuple[Migration, ...]

    @property
    def options(self) -> str:
        """What libpq's option of that name has for its sessions."""
        path = f"{sql.Identifier(self.schema).as_string()},public"
        return "-csearch_path=" + re.sub(r"([\\\s])", r"\\\1", path)

    def url(self, url: str) -> str:
        """The URL of a database, for sessions of this schema."""
        return f"{url}{'&' if '?' in url else '?'}options={quote(self.options, safe='')}"

    def prepare(self, url: str, shared: Sequence[Migration]) -> None:
        """Make the schema, and apply what is shared to the schema public of a new database; raises MigrationError."""
        with connection.connect(url) as conn:
            conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
        with closing(ScratchDatabase(url, SILENT, "public", "-c search_path=public")) as made:
            made.rebuild(shared)


def tenant(config: pytest.Config, loaded: Settings) -> Tenant | None:
    """What pytest's ini file says with pgyoyo_fleet and pgyoyo_schema, None without the first; raises as reader.read."""
    name = config.getini("pgyoyo_fleet")
    if not name:
        return None
    fleet = definition.choose(loaded.fleets, name, "pgyoyo_fleet in pytest's ini file")
    shared: list[Migration] = []
    for group in fleet.groups:
        if group.migrations:
            places = [os.path.relpath(loaded.root / place) for place in group.migrations]
            shared += as_of(group.name, plan.order(reader.read(places).migrations))
    return Tenant(config.getini("pgyoyo_schema"), tuple(shared))
