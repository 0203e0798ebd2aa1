"""The two copies of a scratch database that migrations are rehearsed on, kept alike from one to the next."""

from contextlib import ExitStack
from dataclasses import replace

import psycopg
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine import wire
from pgyoyo.engine.message import RESET
from pgyoyo.migrations.migration import Migration
from pgyoyo.review.isolated import Apart
from pgyoyo.review.rehearsal import Rehearsal
from pgyoyo.scratch import databases
from pgyoyo.scratch.copies import Copy
from pgyoyo.sql import parser
from pgyoyo.sql.script import Script

# With these a scan that has to be shows also in an empty table, and one that an index spares doesn't in a small one.
_OPTIONS = "-c enable_seqscan=off -c enable_indexonlyscan=off -c jit=off -c timezone="


class Stage:
    """Scratch databases on the server of `admin`, dropped when the stack ends; sessions begin with that `timezone`."""

    def __init__(self, admin: Connection, console: Console, stack: ExitStack, timezone: str = "UTC") -> None:
        self.admin = admin
        self.console = console
        self._options = _OPTIONS + timezone.replace("\\", r"\\").replace(" ", r"\ ")
        self.copy = Copy(stack.enter_context(databases.database(admin)), console, None, self._options)
        self._apart_stack = stack.enter_context(ExitStack())
        stack.callback(self.copy.close)
        self._second: Copy | None = None

    def pass_over(self, one: Migration) -> None:
        """Apply one that is not under review; raises MigrationError."""
        self._part()
        self.copy.run(one, "apply")

    def load(self, script: Script) -> psycopg.Error | None:
        """Run a file of sample rows, as one; the server's refusal, after which all is as it was."""
        self._part()
        conn = self.copy.conn
        data = memoryview(script.data)
        tail = f"\n;\n{';'.join(RESET)};\nCOMMIT;\nANALYZE"
        text = b"BEGIN;\n" + script.sql + tail.encode()
        reply = wire.send(conn, text, [data[start:end] for start, end in script.copies])
        wire.clear(conn)
        self.copy.changed()
        return reply.error

    def rehearse(self, one: Migration) -> Rehearsal:
        """Run one, statement by statement; what was seen. After an error as Rehearsal.run says."""
        self.copy.backend.ensure_internal_schema_updated()
        apart = Apart(self._alike())
        step = replace(self.copy.backend.executor.step(one, "apply"), script=parser.parse(one.apply.data))
        found = Rehearsal(self.copy, apart, step)
        found.run()
        self.copy.changed()
        if found.failed or apart.lost:
            self._part()
        else:
            apart.copy.renew_after(one, "apply")
        if not found.failed:
            if not one.apply.header.transactional:
                self.copy.backend.executor.record([one], "mark")
            self.copy.renew_after(one, "apply")
        return found

    def _alike(self) -> Copy:
        """The second copy, made anew where it came apart from the first one."""
        if self._second is None:
            schema = self.copy.backend.schema_name
            name = self.copy.conn.info.dbname
            self.copy.close()
            conninfo = self._apart_stack.enter_context(databases.database(self.admin, template=name))
            self.copy.open(schema)
            self._second = Copy(conninfo, self.console, schema, self._options)
            self._apart_stack.callback(self._second.close)
        return self._second

    def _part(self) -> None:
        """Give up the second copy, which is no longer like the first."""
        self._second = None
        self._apart_stack.close()
