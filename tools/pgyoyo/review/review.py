"""The review of a chain of migrations: rehearsed on scratch databases, judged by the rules, one sheet for each."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine import connection, failures
from pgyoyo.errors import PgyoyoError, UsageError
from pgyoyo.migrations import checks
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.prove.parallel import Proving
from pgyoyo.review import rolled_back, rules, squawk
from pgyoyo.review.assembly import Rehearsed, assembled
from pgyoyo.review.phases import held_to_phase
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.running import Releases, Running
from pgyoyo.review.sheet import NOT_REACHED, RAN, Finding, ObservedStatement, Review
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.scratch import extensions, present_roles, rights
from pgyoyo.scratch.defaults import UTC, Defaults
from pgyoyo.scratch.shared import restored
from pgyoyo.sql import batched_file, blocks, parser
from pgyoyo.sql.script import Script

# What may leave a statement with nothing to do, though there is something elsewhere.
_CONDITION = re.compile(r"(?i)\bIF\s+(?:NOT\s+)?EXISTS\b")
# SQLSTATEs of a data file that comes too early: a schema, table, type or column that it names does not exist yet.
_TOO_EARLY = ("42P01", "42703", "42704", "3F000")


@dataclass(frozen=True, slots=True)
class Chain:
    """The migrations in the order of applying, and the indexes of those under review.

    `release`: these are applied together, so that nobody uses yet what an earlier one of them makes. `beside`: the indexes of
    others of the same release.
    """

    migrations: Sequence[Migration]
    reviewed: Collection[int]
    release: bool = False
    beside: Collection[int] = ()


def review(
    admin: Connection,
    chain: Chain,
    console: Console,
    *,
    data: File | None = None,
    alone: bool = True,
    defaults: Defaults | None = None,
    running: Running | None = None,
    new: Running | None = None,
) -> Review:
    """The sheets of the migrations under review, rehearsed in scratch databases on the server of `admin`.

    `data` is loaded before the first migration under review whose tables exist. `alone`: the server has no other databases
    of any value. `defaults`: what sessions of the target begin with, where there is one; else the TimeZone is UTC, which may
    be wrong. `running`: the statements of the release that is running, `new`: those of the new one. Raises DefectsError and
    MigrationError for migrations before those under review, UsageError for migrations that would change other databases too,
    and for data that can't be loaded.
    """
    sessions = defaults or UTC
    upto = chain.migrations[: max(chain.reviewed, default=-1) + 1]
    before = [migration for i, migration in enumerate(upto) if i not in chain.reviewed]
    checks.scripts(before)
    for words in checks.left_out(before):
        console.note(words)
    if not alone:
        checks.refuse_cluster_wide(upto, but_roles=rights.owner(admin) is not None)
    extensions.require(admin, upto, (upto[i] for i in sorted(chain.reviewed)))
    # An object that all databases share, such as a role, would exist already when the next copy runs the same file.
    shared = next((i for i, migration in enumerate(upto) if checks.cluster_wide_statements(migration)), len(upto))
    first = min((*chain.reviewed, *chain.beside), default=0)
    provable = [
        i
        for i in sorted(chain.reviewed)
        if i < shared and not any(checks.defects(upto[i].apply)) and not _is_python(upto[i])
    ]
    try:
        with restored(admin, upto, console), ExitStack() as stack:
            roles = present_roles.those_of(admin, upto)
            here = present_roles.left_alone(upto, roles, console)
            # The state before the first one is kept before the proofs begin, from the same one.
            stage = RehearsalDatabases(admin, console, stack, sessions, here[:first])
            stage.release, stage.roles = chain.release, roles
            rehearsals = _Rehearsals(stage, data, Releases(running, new), zone_is_known=defaults is not None)
            rehearsals.read(upto[i] for i in sorted(chain.reviewed))
            start = stage.spare() if first in provable else None
            with (
                Proving(connection.again(admin.info), here, provable, sessions, start=start) as proving,
                ExitStack() as end,
            ):
                # Before the proofs are waited for, which may wait for a lock of a rehearsal that failed.
                end.callback(stage.end_sessions)
                for i, migration in enumerate(upto[first:], start=first):
                    if i in chain.reviewed:
                        console.step(f"review {migration.id} ({len(rehearsals.facts) + 1} of {len(chain.reviewed)})")
                        rehearsals.add(migration)
                    else:
                        rehearsals.stage.apply_unreviewed(here[i], of_release=i in chain.beside)
                end.close()
                proofs = proving.wait(lambda count: console.step(f"rollbacks: {count} of {len(provable)} tried"))
        console.step("")
    except psycopg.Error as error:
        raise PgyoyoError(f"the scratch server: {failures.server_words(error)}") from None
    sheets = tuple(
        assembled(facts, None if migration_id in rehearsals.broken else proofs.get(migration_id))
        for migration_id, facts in rehearsals.facts.items()
    )
    notes = rehearsals.notes()
    if shared < len(upto):
        what = "it changes what all databases of the server share"
        notes = (f"no rollback was tried from {upto[shared].id} on: {what}", *notes)
    version = f"PostgreSQL {admin.info.server_version // 10000}.{admin.info.server_version % 10000}"
    return Review(sheets, f"{version}, TimeZone {sessions.timezone}", rehearsals.loaded, notes=notes)


class _Rehearsals:
    """Rehearses migrations one after the other; `broken` maps the id of one that failed to the id that caused it."""

    def __init__(
        self, stage: RehearsalDatabases, data: File | None, releases: Releases, *, zone_is_known: bool
    ) -> None:
        self.stage = stage
        self.facts: dict[str, Rehearsed] = {}
        self.broken: dict[str, str] = {}
        self.loaded: str | None = None
        self._data = data
        self._running, self._new = releases.running, releases.new
        self._looked: int | None = None
        self._zone_is_known = zone_is_known
        self._refusal = ""
        self._read: dict[Path, tuple[Script, squawk.Reports]] = {}

    def read(self, migrations: Iterable[Migration]) -> None:
        """Parse and lint the files of the migrations that will be added."""
        files = [migration.apply for migration in migrations]
        scripts = [blocks.unfolded(parser.parse(file.data, transactional=file.header.transactional)) for file in files]
        texts = list(zip(files, scripts, strict=True))
        reports = squawk.reports(texts, server_version=self.stage.admin.info.server_version)
        self._read = {file.path: (script, each) for (file, script), each in zip(texts, reports, strict=True)}

    def add(self, migration: Migration) -> None:
        """Add the facts of a migration that was read, rehearsed unless it has defects or depends on one that failed."""
        file = migration.apply
        script, reported = self._read[file.path]
        findings = [
            rulebook()["defect"].finding(defect.path, defect.line, None, defect.message)
            for defect in checks.defects(file)
        ]
        findings += [rulebook()["defect"].finding(file.path, line, None, words) for line, words in file.blocked]
        cause = next((name for name in migration.depends if name in self.broken), None)
        notes: Sequence[str] = ()
        facts = None
        of_rollback: Sequence[Finding] = ()
        if findings or cause:
            statements = list(_not_reached(file, script))
            notes = (f"not rehearsed: it depends on {cause}, which failed",) if cause else ()
            self.broken[migration.id] = cause or migration.id
        else:
            self._load(migration)
            refused = self.stage.refused_backfill(migration) if file.header.backfill else None
            if self._running and self._looked != self.stage.copy.changes:
                self._running.look(self.stage.copy.ready().conn)
            rehearsal = self.stage.rehearse(migration)
            statements = rehearsal.statements
            facts = rehearsal.facts()
            findings = rules.findings(file, statements, rehearsal.invalid(), facts)
            if self._zone_is_known:
                findings = [each for each in findings if each.rule != "timezone-dependent-type"]
            if refused:
                findings.append(rulebook()["defect"].finding(file.path, refused.line, None, refused.reason))
            batched = batched_file.statements(script) if file.header.backfill else ()
            notes = [finding for choices in batched for finding in choices[0].findings]
            if rehearsal.failed:
                self.broken[migration.id] = migration.id
            elif self._running:
                more, line = self._running.judge(self.stage.copy.ready().conn, file, statements)
                findings += more
                notes.append(line)
                self._looked = self.stage.copy.changes
            if self._new and not rehearsal.failed:
                of_rollback, lines = rolled_back.judged(self.stage, migration, self._new)
                notes += lines
        ran = [each for each in statements if each.state == RAN]
        shown = {each.number for each in ran if each.did or not _CONDITION.search(each.sql)}
        findings += squawk.lint(file, script, reported, ran={each.number for each in ran}, shown=shown)
        findings = held_to_phase(file, statements, findings, knows_queries=self._running is not None)
        self.facts[migration.id] = Rehearsed(migration, script, statements, findings, notes, facts, of_rollback)

    def notes(self) -> tuple[str, ...]:
        """Whether the sample rows were never loaded, and why."""
        return (f"{self._data.path} was never loaded: {self._refusal}",) if self._data and not self.loaded else ()

    def _load(self, migration: Migration) -> None:
        """Load the sample rows, unless they are loaded or their tables don't exist yet."""
        if not self._data or self.loaded:
            return
        error = self.stage.load(parser.parse(self._data.data))
        if error is None:
            self.loaded = f"{self._data.path}, before {migration.id}"
        elif error.sqlstate in _TOO_EARLY:
            self._refusal = str(error.diag.message_primary)
        else:
            raise UsageError(
                f"{self._data.path} can't be loaded before {migration.id}:\n{failures.server_words(error)}"
            )


def _is_python(migration: Migration) -> bool:
    """Whether it has steps that only Python can run."""
    return any(file and file.blocked for file in (migration.apply, migration.rollback))


def _not_reached(file: File, script: Script) -> Iterator[ObservedStatement]:
    for number, statement in enumerate(script.statements, start=1):
        text = script.text(statement).decode(errors="replace")
        yield ObservedStatement(number, file.line(script.line(statement.start)), text, statement.name, NOT_REACHED)
