"""A statement tried on sample rows, a few and four times as many: work that grows with the table is work on the whole table.

An empty table shows a sequential scan, but not one through an index, nor the rows that a join, a function, a view, a rule or
a trigger reaches. So the tables that the statement touches are filled in a transaction that is rolled back, and the
counters of the server (rows and blocks read, rows changed) are compared.
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection

from pgyoyo.engine import wire
from pgyoyo.queries import named
from pgyoyo.review.constants import with_small_limits
from pgyoyo.review.filling import QUERIES, Filler, words
from pgyoyo.review.trial import Point, ScaleTrial, TableWork

SIZES = (100, 400)  # rows a table
NO_TABLE = "it touches no table"
_TIMEOUT = "5s"
_ROUNDS = 8
_UNIQUE, _FOREIGN_KEY, _CHECK = "23505", "23503", "23514"
_DEFAULT = re.compile(r"pgyoyo_default_(\d+)_\d+\Z")  # a partition that the filler makes
_QUIET = {"search_path": "pg_catalog", "datestyle": "ISO, MDY", "timezone": "UTC"}


class Scale:
    """Tries statements in the session's database, each in a transaction of its own, which is rolled back."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn

    def run(self, text: bytes, copies: Sequence[memoryview] = (), sizes: Sequence[int] = SIZES) -> ScaleTrial:
        """The trial of a statement with sample rows in the tables that it touches; nothing is left of it but sequences."""
        try:
            with self.conn.transaction(force_rollback=True):
                return _Trial(self.conn, with_small_limits(text), copies).run(sizes)
        except psycopg.Error as error:
            return ScaleTrial(reason=words(error))


class _Trial:
    """One statement in an open transaction: `tables` are filled, `excluded` ones stay empty."""

    def __init__(self, conn: Connection, text: bytes, copies: Sequence[memoryview]) -> None:
        self.conn = conn
        self.text = text
        self.copies = copies
        self.words = text.decode(errors="replace")
        self.tables: set[int] = set()
        self.excluded: set[int] = set()
        self.locked: set[int] = set()
        self.parts: set[int] = set()
        self.writes: set[int] = set()
        self.digits = False
        self.spared = False  # a table stays empty since the statement makes a partition of it
        self.reason: str | None = None

    def run(self, sizes: Sequence[int]) -> ScaleTrial:
        row = self.conn.execute("SELECT pg_catalog.current_setting('role')").fetchone()
        assert row
        role: str = row[0]
        # An autovacuum of the copy gives way only to a session that has waited for deadlock_timeout, a second.
        # Rows that are looked up by an index on a big table are so here too; a join of two small tables reads both.
        plan = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        limits = f"SET LOCAL statement_timeout = '{_TIMEOUT}'; SET LOCAL lock_timeout = '3s'"
        self.conn.execute(f"{limits}; {plan}".encode())
        may = "pg_catalog.has_parameter_privilege('session_replication_role', 'SET')"
        if self.conn.info.server_version < 150000:
            may = "pg_catalog.current_setting('is_superuser')::pg_catalog.bool"
        names = [*_QUIET, "session_replication_role"]
        query = (
            f"SELECT pg_catalog.jsonb_object_agg(s, pg_catalog.current_setting(s)), {may} "  # noqa: S608 - one of two
            "FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS s"
        )
        # The role first, or last, since another may not be allowed to set session_replication_role.
        self._set({"role": "none"})
        row = self.conn.execute(query.encode(), [names]).fetchone()
        assert row
        self.fires = not row[1]
        self.quiet = {"role": "none", **_QUIET} | ({} if self.fires else {"session_replication_role": "replica"})
        self.settings: dict[str, str] = {name: row[0][name] for name in self.quiet if name != "role"} | {"role": role}
        self._set(self.quiet)
        self.known = {oid for (oid,) in self.conn.execute("SELECT oid::pg_catalog.int8 FROM pg_catalog.pg_class")}
        points: list[Point] = []
        for _ in range(_ROUNDS):
            before = (set(self.tables), set(self.excluded), self.digits)
            try:
                with self.conn.transaction(force_rollback=True):
                    points = self._points(sizes if self.tables else [0])
            except psycopg.Error as error:
                self._learn(error)
                points = []
                if before == (self.tables, self.excluded, self.digits):
                    self.reason = self.reason or words(error)
                    break
            else:
                if before[0] == self.tables:
                    break
        nothing = NO_TABLE if points and not self.excluded else "its tables hold no rows"
        reason = self.reason or (None if points and (self.tables or self.spared) else nothing)
        if points and self.tables and len(points) < len(sizes):
            reason = reason or "it touches more tables the more rows they hold"
        touches = frozenset(self.tables | self.excluded)
        measured = () if reason else tuple(points)
        return ScaleTrial(measured, reason, frozenset(self.writes), touches, frozenset(self.parts))

    def _points(self, sizes: Sequence[int]) -> list[Point]:
        """The statement on more and more rows; ends early where it touches tables that are not filled yet."""
        points: list[Point] = []
        filler = Filler(self.conn, self.tables, self.excluded, self.words, digits=self.digits, fires=self.fires)
        for size in sizes:
            if size:
                self.reason = filler.fill(points[-1].rows if points else 0, size) or self.reason
            points.append(self._measured(size, filler))
            if not self.tables >= self._touched:
                self.tables |= self._touched
                return points
        return points

    def _measured(self, size: int, filler: Filler) -> Point:
        """The statement on the rows that are there now; raises psycopg.Error."""
        with self.conn.transaction(force_rollback=True):
            wal, before = self._counts()
            self._set(self.settings)
            started = time.monotonic()
            reply = wire.send(self.conn, self.text, self.copies)
            if reply.error:
                raise reply.error
            duration = (time.monotonic() - started) * 1000
            self._set(self.quiet)
            wal_after, after = self._counts()
            touched = {oid for (oid,) in self.conn.execute(named(QUERIES)["touched"].encode())}
            self._touched = touched & self.known - self.excluded
        # The filler's own locks don't count.
        for oid, (_, root, writes, *_) in after.items():
            if root not in self.tables | self.excluded and writes is not None:
                self.locked.add(oid)
                self.parts |= {oid} if oid != root and after.get(root, (0, 0, None))[2] is not None else set()
                self.writes |= {oid} if writes else set()
        work: dict[int, list[int]] = {}
        for oid, (_, root, _, *counts) in after.items():
            # A partition counts as its table where the statement is about that, or as itself.
            total = work.setdefault(root if root in self.locked else oid, [0] * len(counts))
            earlier = before[oid][3:] if oid in before else (0,) * len(counts)
            total[:] = [k + n - m for k, n, m in zip(total, counts, earlier, strict=True)]
        for child, parents in filler.parents.items():
            # A foreign key is checked for each updated row that the same transaction inserted: here all of them.
            for parent in parents & work.keys() if child in work else ():
                work[parent][0] = max(work[parent][0] - work[child][2], 0)
        tables = (TableWork(oid, *counts) for oid, counts in sorted(work.items()) if any(counts))
        return Point(size, duration, wal_after - wal, tuple(tables))

    def _learn(self, error: psycopg.Error) -> None:
        """Fill other tables, or with other values, where an error asks for it."""
        schema, name = error.diag.schema_name, error.diag.table_name
        query = (
            "SELECT c.oid::bigint FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s"
        )
        blamed = self.conn.execute(query, [schema, name]).fetchone() if name else None
        parents: set[int] = set()
        if error.sqlstate == _CHECK and (made := _DEFAULT.match(name or "")):
            # It makes a partition for rows that are in the filler's own: the table stays empty.
            self.spared = True
            self.excluded.add(int(made[1]))
            self.tables.discard(int(made[1]))
            return
        if error.sqlstate == _FOREIGN_KEY and blamed:
            query = "SELECT confrelid::bigint FROM pg_catalog.pg_constraint WHERE conrelid = %s AND contype = 'f'"
            parents = {oid for (oid,) in self.conn.execute(query, blamed)} - self.tables - self.excluded
        if parents:
            self.tables |= parents
        elif error.sqlstate in (_UNIQUE, _FOREIGN_KEY) and blamed:
            self.excluded.add(blamed[0])
            self.tables.discard(blamed[0])
        elif (error.sqlstate or "").startswith("22"):
            self.digits = True

    def _counts(self) -> tuple[int, dict[int, tuple[Any, ...]]]:
        """The position in the WAL, and the counts by table."""
        rows = self.conn.execute(named(QUERIES)["counts"].encode()).fetchall()
        return next((row[-1] for row in rows), 0), {row[0]: row[:-1] for row in rows}

    def _set(self, settings: Mapping[str, str]) -> None:
        # In their order: a role may not be allowed to make the others.
        each = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(settings))
        self.conn.execute(f"SELECT {each}".encode(), [text for pair in settings.items() for text in pair])
