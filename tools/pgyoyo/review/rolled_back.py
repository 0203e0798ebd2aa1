"""The statements of the new release, judged on the schema after a rollback: the schema rolled back alone breaks it, too."""

from collections.abc import Iterator
from dataclasses import replace

from pgyoyo.catalog.snapshot import Change
from pgyoyo.errors import MigrationError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.review.running import Running
from pgyoyo.review.sheet import ERROR, WARNING, Finding, ObservedStatement
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.sql import parser

_EFFECT = "It fails from the rollback of this migration until the last process of the new release has ended."
_SAFER = "Roll the application back first, then the schema; where that is the rule: -- review: allow {}: reason"


def judged(stage: RehearsalDatabases, migration: Migration, new: Running) -> tuple[list[Finding], list[str]]:
    """The findings of the rollback of a migration that has just been rehearsed, and the line for its sheet.

    They are warnings at most: that a rollback takes away what the migration brought is what it is for. Nothing where there is
    no rollback, or one that fails, which its proof says.
    """
    file = migration.rollback
    if file is None or file.blocked or file.header.irreversible or not parser.parse(file.data).statements:
        return [], []
    with stage.clone() as clone:
        new.look(clone.ready().conn)
        try:
            clone.run(migration, "rollback")
        except MigrationError:
            return [], []
        findings, line = new.judge(clone.ready().conn, file, list(_statements(file)))
    return [_of_rollback(finding) for finding in findings], [line]


def _statements(file: File) -> Iterator[ObservedStatement]:
    """The statements of the rollback, whose own words stand for what they change."""
    script = parser.parse(file.data, transactional=file.header.transactional)
    for number, statement in enumerate(script.statements, start=1):
        text = script.text(statement).decode(errors="replace")
        changes = (Change("statement", text, None, None),)
        line = file.line(script.line(statement.start))
        yield ObservedStatement(number, line, text, statement.name, changes=changes)


def _of_rollback(finding: Finding) -> Finding:
    severity = WARNING if finding.severity == ERROR else finding.severity
    return replace(
        finding,
        severity=severity,
        statement=None,
        effect=_EFFECT,
        workaround=_SAFER.format(finding.rule),
        source="rollback",
    )
