"""How a person steers a running backfill, through its row in the ledger: pause, resume, other limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from psycopg import Connection

from pgyoyo.backfill.pacing import Limits
from pgyoyo.backfill.state import Row
from pgyoyo.engine import read_only
from pgyoyo.errors import UsageError
from pgyoyo.units import is_window, time_words


@dataclass(frozen=True, slots=True)
class Control:
    """A person's wishes; None where its file and the settings hold. Seconds, a share, hours as 22:00-06:00, empty for all."""

    paused: bool = False
    target: float | None = None
    pause: float | None = None
    max_replica_lag: float | None = None
    window: str | None = None

    def limits(self, limits: Limits) -> Limits:
        """The limits, with these in place of their own where they are given."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "paused"}
        return replace(limits, **{name: value for name, value in given.items() if value is not None})

    def __str__(self) -> str:
        words = ["paused"] * self.paused
        words += [f"target {time_words(self.target * 1000)}"] if self.target is not None else []
        words += [f"pause {self.pause:.0%}"] if self.pause is not None else []
        if self.max_replica_lag is not None:
            words.append(f"max-replica-lag {self.max_replica_lag:g} s")
        words += [f"window {self.window or 'any'}"] if self.window is not None else []
        return ", ".join(words)


def parse(text: str) -> Control:
    """The control that the row holds, without what this version does not know or can't read."""
    try:
        given = json.loads(text)
    except ValueError:
        return Control()
    if not isinstance(given, dict):
        return Control()
    known = {field.name for field in fields(Control)}
    return Control(**{name: value for name, value in given.items() if name in known and _fits(name, value)})


def _fits(name: str, value: Any) -> bool:
    if name == "window":
        return isinstance(value, str) and is_window(value)
    return isinstance(value, bool) if name == "paused" else type(value) in (int, float) and value >= 0


def change(conn: Connection, schema: str, migration_hash: str, values: Mapping[str, Any]) -> Control:
    """Steer the backfill of that migration, in addition to what its row has already; None removes a value.

    Its session reads it with its next batch, or within a second where it waits. Writes one row, in a transaction of its own.
    Raises UsageError if it has ended since, and ConnectError where nothing can be written.
    """
    read_only.refuse(conn)
    row = Row(conn, schema, migration_hash, "")
    row.add_missing_columns()
    dropped = [name for name, value in values.items() if value is None]
    given = {name: value for name, value in values.items() if value is not None}
    for (text,) in row.execute("tell", {"given": json.dumps(given), "dropped": dropped}):
        return parse(text)
    raise UsageError("the backfill has ended meanwhile; see pgyoyo status")
