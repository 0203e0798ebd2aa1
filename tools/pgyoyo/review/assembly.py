"""The sheet of a migration, from what its rehearsal gave and the proof of its rollback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pgyoyo.engine import failures
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove.proof import (
    APPLY_FAILS,
    DIFFERS,
    FAILS,
    LOSSY,
    MISSING,
    NOT_RUN,
    ORDER,
    REAPPLY_DIFFERS,
    REAPPLY_FAILS,
    SEQUENCE,
    VOLATILE,
    Proof,
)
from pgyoyo.review import rules, suppressions
from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import commands
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Finding, ObservedStatement, Rollback, Sheet
from pgyoyo.sql import parser, tree
from pgyoyo.sql.script import Script

NO_WAY_BACK = "-- irreversible: PostgreSQL can't remove a value from an enum"
LONGEST_SHOWN = 8_000  # characters of a statement; longer ones are mostly rows
# The states of a rollback, worst first, and the classes of a proof that make them.
_STATES = {
    "not proved": {APPLY_FAILS, NOT_RUN},
    "failed": {FAILS, REAPPLY_FAILS},
    "differs": {DIFFERS, ORDER, REAPPLY_DIFFERS},
    "missing": {MISSING},
    "needs a reason": {LOSSY},
}


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the rehearsal of a migration gave: the statements, and the findings before any suppression.

    `of_rollback`: those on the new release after the rollback.
    """

    migration: Migration
    script: Script
    statements: Sequence[ObservedStatement]
    findings: Sequence[Finding]
    notes: Sequence[str]
    catalog: Facts | None
    of_rollback: Sequence[Finding] = ()


def assembled(rehearsed: Rehearsed, proof: Proof | None) -> Sheet:
    """The sheet of a migration, with the proof of its rollback if there is one."""
    migration = rehearsed.migration
    file = migration.apply
    proved = list(_of_proof(migration, proof)) if proof and not proof.irreversible else []
    # Without a rollback file the rollback's findings are shown at the migration's.
    of_rollback = [finding for finding in proved if migration.rollback and finding.path == migration.rollback.path]
    findings = [*rehearsed.findings, *(finding for finding in proved if finding not in of_rollback)]
    findings = suppressions.suppressed(file, rehearsed.script, findings)
    # What was not proved is judged by the statements of the new release only.
    if migration.rollback and (not proof.irreversible if proof else rehearsed.of_rollback):
        script = parser.parse(migration.rollback.data)
        if proof:
            of_rollback += rules.of_rollback(migration.rollback, script, rehearsed.catalog)
        of_rollback += rehearsed.of_rollback
        findings += suppressions.suppressed(migration.rollback, script, of_rollback, whole=True)
    return Sheet(
        migration.id,
        file.path,
        file.header.title,
        file.header.transactional,
        tuple(_shown(statement) for statement in rehearsed.statements),
        tuple(lock for statement in rehearsed.statements for lock in statement.taken),
        tuple(findings),
        _rollback(migration, proof),
        notes=(*rehearsed.notes, *(proof.notes if proof and not proof.irreversible else ())),
        batched=file.header.backfill is not None,
    )


def _rollback(migration: Migration, proof: Proof | None) -> Rollback:
    file = migration.rollback
    sql = failures.hide(file.data.decode("utf-8-sig")) if file else ""
    path = file.path if file else None
    if proof is None:
        return Rollback(path=path, sql=sql)
    if proof.irreversible:
        return Rollback("irreversible", (proof.irreversible,), path=path, sql=sql)
    lines = tuple(line for lines in proof.findings.values() for line in lines)
    return Rollback(_state(proof), lines, proof.lossy, path, sql)


def _state(proof: Proof) -> str:
    """The state of a rollback, by the classes of its proof; what its migration does wrong is not the rollback's."""
    for state, classes in _STATES.items():
        if not classes.isdisjoint(proof.failures):
            return state
    return "proved"


def _of_proof(migration: Migration, proof: Proof) -> Iterator[Finding]:
    """The findings for the classes of a proof that are rules."""
    for rule, lines in proof.findings.items():
        if rule not in rulebook():
            continue
        applies = rule in (APPLY_FAILS, SEQUENCE, VOLATILE) or migration.rollback is None
        path = migration.apply.path if applies or not migration.rollback else migration.rollback.path
        place = proof.places.get(rule)
        line = place.line if place and place.path == path else 1
        happens = "\n".join(lines)
        if rule == MISSING and _adds_a_label(migration):
            happens += f"\nwrite {migration.id}.rollback.sql with this line: {NO_WAY_BACK}"
        yield rulebook()[rule].finding(path, line, None, happens, source="rollback")


def _adds_a_label(migration: Migration) -> bool:
    """Whether it adds a value to an enum, which no rollback can take back."""
    script = parser.parse(migration.apply.data)
    nodes = (node for each in script.statements for node in commands(script.text(each).decode(errors="replace")))
    return any(tree.kind(node) == "AlterEnumStmt" and not node.old_val for node in nodes)


def _shown(statement: ObservedStatement) -> ObservedStatement:
    """The statement with its SQL as a sheet shows it: passwords hidden, the end of a long one cut."""
    sql = failures.hide(statement.sql)
    more = len(sql) - LONGEST_SHOWN
    return replace(statement, sql=sql if more <= 0 else f"{sql[:LONGEST_SHOWN]} … and {more:,} more characters")
