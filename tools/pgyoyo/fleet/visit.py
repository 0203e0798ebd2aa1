"""What is done at one member: a look at it, an apply, a rollback; whatever happens becomes a value."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING

import psycopg

from pgyoyo.engine import connection, failures
from pgyoyo.engine.retry import RETRYABLE
from pgyoyo.errors import ConnectError, DriftError, LockedError, PgyoyoError, StatementError
from pgyoyo.fleet.last_note import LastNote
from pgyoyo.fleet.sessions import Sessions, is_forgotten, refuse_missing
from pgyoyo.migrations import phases
from pgyoyo.migrator import Migrator
from pgyoyo.reports import Reports

if TYPE_CHECKING:
    from pgyoyo.backfill.pacing import Limits
    from pgyoyo.fleet.canary import Cost, Watch
    from pgyoyo.fleet.members import Member
    from pgyoyo.migrations.migration import Folders
    from pgyoyo.migrations.status import Status

# How a visit can end. What is no failure of the fleet has a state of its own: the next run tries it again.
DONE, UNCHANGED, AT_HEAD, PENDING = "done", "unchanged", "at head", "pending"
FAILED, UNREACHABLE, LOCKED, DRIFT, HELD, INTERRUPTED = (
    "failed", "unreachable", "locked", "drift", "held back", "interrupted",
)  # fmt: skip
STATES = (DONE, UNCHANGED, AT_HEAD, PENDING, FAILED, UNREACHABLE, LOCKED, DRIFT, HELD, INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Visit:
    """How a visit ended: what ran, in seconds how long it took, where the member stands now, and of a bad end the words.

    `at` is the last applied migration in the order of the files, None while there is none; `missing` how many before it are
    pending, `pending_ids` all that are.
    """

    member: Member
    state: str
    seconds: float = 0.0
    ids: tuple[str, ...] = ()
    at: str | None = None
    missing: int = 0
    pending_ids: tuple[str, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    cost: Cost | None = None

    @property
    def pending(self) -> int:
        """How many migrations are pending."""
        return len(self.pending_ids)


@dataclass(frozen=True, slots=True)
class Options:
    """How each member is treated; seconds: `wait` for another runner, `wait_for_server` for a server that does not answer.

    `named` is what stands behind `pgyoyo fleet apply` for this fleet.
    """

    named: str = ""
    target: str | None = None
    count: int | None = None
    strict: bool = False
    phase: str | None = None
    wait: float = 60.0
    wait_for_server: float = 0.0
    give_up_after: float = 600.0
    limits: Limits | None = None
    backfills: int = 2
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at a member: its status, where there is one, and whether a session keeps nothing of what is pending."""

    visit: Visit
    status: Status | None
    keeps_nothing: bool


@dataclass(frozen=True, slots=True)
class Visitor:
    """Visits members, each in a session of its own, with the files of its group."""

    folders: Sequence[Folders]
    options: Options
    sessions: Sessions

    def look(self, member: Member) -> Visit:
        """Where the member stands; one query, which writes nothing and takes no lock."""
        return self._look(member).visit

    def _look(self, member: Member) -> _Look:
        folders, reports = self.folders[member.group], Reports(None)
        read: list[Status] = []
        keeps_nothing = False

        def look() -> Visit:
            nonlocal keeps_nothing
            if member.schema is None:
                with self._session(member, reports) as migrator:
                    read.append(migrator.status())
            else:
                with self.sessions.looking(member, self.options.wait_for_server) as conn:
                    read.append(Migrator(conn, folders, reports, schema=member.quoted_schema(conn)).status())
                    if read[0].schema is None:
                        refuse_missing(conn, member)
                    pending = read[0].pending
                    if len(pending) == 1 and is_forgotten(pending[0]):
                        keeps_nothing = self.sessions.keeps_nothing(conn, member.plain)
            return standing(member, read[0], folders)

        visit = self._guarded(member, look)
        return _Look(replace(visit, warnings=tuple(reports.warnings)), next(iter(read), None), keeps_nothing)

    def apply(self, member: Member, watch: Callable[[Migrator], Watch] | None = None) -> Visit:
        """Apply what is pending at the member; `watch` measures it meanwhile."""
        options, folders = self.options, self.folders[member.group]
        before: Status | None = None
        reuse = False

        def run(migrator: Migrator, reports: Reports) -> tuple[str, ...]:
            select = phases.selection(options.phase)
            # A session that others had is good for the file that was looked at, and for no other.
            only = {migration.hash for migration in before.pending} if before and reuse else None
            migrator.select = lambda pending: [m for m in select(pending) if only is None or m.hash in only]
            migrator.apply(target=options.target, seen=before)
            return tuple(reports.ran_ids("applied"))

        if member.schema is not None and not folders.hooks:
            look = self._look(member)
            seen, before = look.visit, look.status
            if seen.state != PENDING:
                return replace(seen, state=UNCHANGED) if seen.state == AT_HEAD else seen
            reuse = watch is None and look.keeps_nothing
            return self._run(member, run, watch, seen.warnings, reuse=reuse)
        return self._run(member, run, watch)

    def rollback(self, member: Member, watch: Callable[[Migrator], Watch] | None = None) -> Visit:
        """Roll back at the member what the options say; nothing after `target` is applied there: at head."""
        options = self.options

        def run(migrator: Migrator, _: Reports) -> tuple[str, ...]:
            status = migrator.status()
            if not status.applied:
                return ()
            if options.target and options.target not in {row.id for row in status.applied}:
                return ()
            return tuple(migrator.rollback(target=options.target, count=options.count))

        return self._run(member, run, watch)

    def _run(
        self,
        member: Member,
        run: Callable[[Migrator, Reports], tuple[str, ...]],
        watch: Callable[[Migrator], Watch] | None,
        warnings: Sequence[str] = (),
        *,
        reuse: bool = False,
    ) -> Visit:
        folders, heard = self.folders[member.group], LastNote()
        reports = Reports(heard)
        cost: list[Cost] = []

        def work() -> Visit:
            with self._session(member, reports, reuse=reuse) as migrator:
                if watch is None:
                    with self._backfill_place(member, migrator):
                        ids = run(migrator, reports)
                else:
                    self.sessions.close()  # those that looked for a canary
                    with watch(migrator) as measured:
                        ids = run(migrator, reports)
                    cost.append(measured.cost())
                return replace(standing(member, migrator.after or migrator.status(), folders), ids=ids)

        visit = self._guarded(member, work)
        if visit.state in (AT_HEAD, PENDING):
            visit = replace(visit, state=DONE if visit.ids else UNCHANGED)
        elif visit.state in (FAILED, LOCKED, DRIFT):
            if visit.state == LOCKED and heard.text:
                words = connection.redact(heard.text, member.conninfo)
                visit = replace(visit, message=f"{words}\n{visit.message}")
            stands = self.look(member)
            visit = replace(visit, at=stands.at, missing=stands.missing, pending_ids=stands.pending_ids)
        ran = visit.ids or tuple(reports.ran_ids("applied")) or tuple(reports.ran_ids("rolled back"))
        return replace(visit, ids=ran, warnings=(*warnings, *reports.warnings), cost=cost[0] if cost else None)

    @contextmanager
    def _backfill_place(self, member: Member, migrator: Migrator) -> Iterator[None]:
        """One of the few places of its server for a member with a pending backfill; others need none."""
        files = self.folders[member.group].migrations
        backfills = {migration.hash for migration in files if migration.apply.header.backfill}
        if not backfills or backfills.isdisjoint(migration.hash for migration in migrator.status().pending):
            yield
            return
        with self.sessions.place(member.server, self.options.backfills):
            yield

    @contextmanager
    def _session(self, member: Member, reports: Reports, *, reuse: bool = False) -> Iterator[Migrator]:
        options, sessions = self.options, self.sessions
        since = time.monotonic()
        with sessions.of(member, options.wait_for_server, reuse=reuse) as conn:
            left = max(0.0, options.wait - (time.monotonic() - since))
            migrator = Migrator(
                conn, self.folders[member.group], reports, wait=left, give_up_after=options.give_up_after,
                strict=options.strict, limits=options.limits, embedded=options.embedded, schema=member.quoted_schema(conn),
                sees_messages=sessions.sees_messages.get(member.plain),
            )  # fmt: skip
            try:
                with sessions.at_work(migrator):
                    yield migrator
            finally:
                if migrator.conn is not conn:
                    migrator.conn.close()
                if migrator.sees_messages is not None:
                    known = sessions.sees_messages
                    known[member.plain] = migrator.sees_messages or known.get(member.plain, False)

    def _guarded(self, member: Member, work: Callable[[], Visit]) -> Visit:
        """The visit, or what it ended with, as a value."""
        started = time.monotonic()
        try:
            visit = work()
        except (PgyoyoError, psycopg.Error) as error:
            state = self._state(error)
            words = str(error).strip()
            if isinstance(error, psycopg.Error) and error.sqlstate is None:
                words = failures.loss_words(error)
            text = connection.redact(words, member.conninfo)
            visit = Visit(member, state, message=_in_fleet(text, member, self.options.named))
        return replace(visit, seconds=time.monotonic() - started)

    def _state(self, error: Exception) -> str:
        if self.sessions.is_cancelled:
            return INTERRUPTED
        # Of a statement that was tried again for as long as it may be.
        if isinstance(error, StatementError) and isinstance(error.server_error, RETRYABLE):
            return LOCKED
        states = {ConnectError: UNREACHABLE, LockedError: LOCKED, DriftError: DRIFT}
        return next((state for kind, state in states.items() if isinstance(error, kind)), FAILED)


def standing(member: Member, status: Status, folders: Folders) -> Visit:
    """Where a member stands by its status; a file that was edited after it was applied is drift."""
    pending = {migration.hash for migration in status.pending}
    order = folders.migrations
    last = max((i for i, migration in enumerate(order) if migration.hash not in pending), default=-1)
    state = DRIFT if status.edited else PENDING if pending else AT_HEAD
    edited = (
        f"edited after it was applied: {', '.join(migration.id for migration in status.edited)}"
        if status.edited
        else ""
    )
    return Visit(
        member, state, at=order[last].id if last >= 0 else None, message=edited,
        pending_ids=tuple(migration.id for migration in status.pending),
        missing=sum(migration.hash in pending for migration in order[: last + 1]),
    )  # fmt: skip


# Commands that a fleet has, too, and those that are for one database.
_OF_FLEETS = re.compile(r"\bpgyoyo (apply|rollback|status)\b(?! --)")
_OF_ONE = re.compile(r"\bpgyoyo (?:adopt|mark|redo|rename|repair|settle|unmark)\b")


def _in_fleet(text: str, member: Member, named: str) -> str:
    """The words of a single run, with the commands that do the same here."""
    text = _OF_FLEETS.sub(lambda command: f"pgyoyo fleet {command[1]} {named}".rstrip(), text)
    if not _OF_ONE.search(text):
        return text
    return f"{text}\nFor this member alone add: --database {quote(connection.shown(member.conninfo))}"
