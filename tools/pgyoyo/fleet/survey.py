"""A question to all databases of a fleet, several at a time, each in a session that only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Generic, TypeVar

import psycopg

from pgyoyo.engine import connection
from pgyoyo.errors import PgyoyoError
from pgyoyo.fleet.pool import Pool

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.fleet.definition import Limits
    from pgyoyo.fleet.members import Member
    from pgyoyo.fleet.sessions import Sessions

T = TypeVar("T")
_AT_ONCE = 200  # members of a database that are asked for in one question
_LIMIT = "30s"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What members of one database answer; `fault` is why they don't."""

    members: Sequence[Member]
    value: T | None = None
    fault: str = ""


def ask(
    members: Sequence[Member], question: Callable[[Connection, Sequence[Member]], T], limits: Limits, sessions: Sessions
) -> Iterator[Answer[T]]:
    """The answers as they come; `question` gets a session and members that are in its database, at most 200 of them.

    A statement of it that takes longer than 30 seconds ends as a fault, as does a database that can't be reached.
    """
    parts: dict[str, Sequence[Member]] = {}
    for _, each in groupby(sorted(members, key=lambda member: member.plain), key=lambda member: member.plain):
        here = list(each)
        parts |= {here[start].id: here[start : start + _AT_ONCE] for start in range(0, len(here), _AT_ONCE)}

    def work(first: Member) -> Answer[T]:
        part = parts[first.id]
        try:
            with sessions.looking(first, 0.0) as conn:
                conn.execute(f"SET statement_timeout = '{_LIMIT}'")
                try:
                    return Answer(part, question(conn, part))
                finally:
                    _let_go(conn)
        except (PgyoyoError, psycopg.Error) as error:
            return Answer(part, fault=connection.redact(str(error).strip(), first.plain))

    jobs = limits.jobs_for(len(parts), len({member.server for member in members}))
    yield from Pool[Answer[T]](jobs, sessions.room).run([part[0] for part in parts.values()], work)


def _let_go(conn: Connection) -> None:
    """Take the limit back: the session may serve members next."""
    try:
        conn.execute("RESET statement_timeout")
    except psycopg.Error:
        conn.close()
