"""The statements that record what was done to a migration: yoyo's own rows, and ours beside them."""

import getpass
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from psycopg import Connection

from pgyoyo import __version__
from pgyoyo.engine import ledger
from pgyoyo.migrations.migration import File, Migration

# A bigger text is not kept in the ledger, only its checksum: it would be sent and stored twice.
KEPT_TEXT = 1 << 20
# The server's clock, one for everybody; and one time for both rows of a migration.
_NOW = "(now() AT TIME ZONE 'UTC')"


@dataclass(slots=True)
class Records:
    """Composes them for the ledger in `schema`; sends nothing.

    `yoyos` gives the statements that yoyo has for an operation, with {now} and %(name)s where values are to stand. They
    are the same for every migration, so they are asked for once.
    """

    conn: Connection
    schema: str
    yoyos: Callable[[str, bool], Sequence[str]]
    _texts: dict[tuple[str, bool], Sequence[str]] = field(default_factory=dict)

    def of(
        self, one: Migration, operation: str, *, mark: bool = True, number: int = 0
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What stands before the file's own statements, and what ends the record behind them.

        `operation` is yoyo's: apply, rollback, mark, unmark. Without `mark` only the log tells of it. `number` keeps the
        order of several migrations in one transaction.
        """
        key = operation, mark
        if key not in self._texts:
            self._texts[key] = self.yoyos(operation, mark)
        now = _NOW if not number else f"({_NOW} + interval '{number} microseconds')"
        values = log_data(one, operation)
        before = tuple(ledger.write_values(self.conn, text.replace("{now}", now), values) for text in self._texts[key])
        if not mark:
            return before, ()
        if operation in ("rollback", "unmark"):
            return (*before, self._bind("forget", one)), ()
        row = ledger.queries()["store"].replace("{applied_at}", now).replace("{schema}", self.schema)
        before = (*before, ledger.write_values(self.conn, row, _stored(one)))
        if operation == "mark":
            return (*before, self._bind("backfill_clear", one)) if one.apply.header.backfill else before, ()
        finish = "finish" if one.apply.header.transactional and not one.apply.header.backfill else "finish_long"
        # Behind the file's text stands no quote of the server's escaping: see ledger.sql.
        text = ledger.queries()[finish].replace("{schema}", self.schema).replace("{hash}", one.hash)
        return before, (text,)

    def accepted(self, one: Migration, *, known: bool) -> str:
        """The files of an applied migration as they are now; it is `known` where the ledger has a row of ours for it."""
        if known:
            return ledger.bind(self.conn, "accept", self.schema, _stored(one))
        row = ledger.queries()["store"].replace("{applied_at}", f"({ledger.queries()['applied_at']})")
        return ledger.write_values(self.conn, row.replace("{schema}", self.schema), _stored(one))

    def _bind(self, name: str, one: Migration) -> str:
        return ledger.bind(self.conn, name, self.schema, {"hash": one.hash})


def log_data(one: Any, operation: str) -> Mapping[str, str | None]:
    """The values of yoyo's log row, without its time; unlike yoyo's own this neither asks DNS nor fails for a user id
    that has no name.
    """
    return {
        "id": str(uuid.uuid4()),
        "migration_id": one.id if one else None,
        "migration_hash": one.hash if one else None,
        "username": _user_name(),
        "hostname": socket.gethostname(),
        "operation": operation,
    }


def _stored(one: Migration) -> Mapping[str, str | None]:
    """What the ledger keeps of a migration's files."""
    return {
        "hash": one.hash,
        "id": one.id,
        "checksum": one.apply.checksum,
        "rollback_checksum": one.rollback.checksum if one.rollback else None,
        "apply": _kept(one.apply),
        "rollback": _kept(one.rollback),
        "version": __version__,
    }


def _kept(file: File | None) -> str | None:
    return file.data.decode("utf-8-sig") if file and len(file.data) <= KEPT_TEXT else None


@cache
def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name (OSError from Python 3.13 on)
        return "unknown"
