"""What a scratch database has besides its schema: large objects, and what is the database's own, as its settings."""

from collections.abc import Iterable
from pathlib import Path

from psycopg import Connection

from pgyoyo.catalog.snapshot import Change, Snapshot, difference
from pgyoyo.queries import named
from pgyoyo.scratch import databases, rights

LARGE_OBJECT = "large object"
# What the copy of a database does not have, and how a file sets it.
_NOT_COPIED = {
    "owner": b"owner", "connection limit": b"limit", "template": b"template", "comment": b"comment",
}  # fmt: skip
_QUERY = Path(__file__).with_name("belongings.sql")
_VALUES = {"marker": databases.MARKER, "limit": databases.LIMIT, "runner": rights.ROLE}


def belongings(conn: Connection) -> Snapshot:
    """The large objects, with a hash of the first 16 MB, and the database's owner, limits, comment, privileges and settings.

    Reads only. The role that files run as counts as the superuser; what makes the database a scratch one is left out.
    """
    rows = conn.execute(named(_QUERY)["belongings"].encode(), _VALUES).fetchall()
    return {(kind, name): text for kind, name, text in rows}


def changes(before: Snapshot, after: Snapshot) -> tuple[list[Change], list[Change]]:
    """What differs of the database's own, and of its large objects."""
    every = difference(before, after)
    own = [change for change in every if change.kind != LARGE_OBJECT]
    return own, [change for change in every if change.kind == LARGE_OBJECT]


def may_be_lost(change: Change, texts: Iterable[bytes]) -> bool:
    """Whether files that ran before, in lower case, may have set what differs, which a copy of the database lacks."""
    word = {"database": _NOT_COPIED.get(change.identity), "database privilege": b"on database"}.get(change.kind)
    return word is not None and any(b"database" in text and word in text for text in texts)
