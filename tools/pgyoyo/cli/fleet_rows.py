"""What the rows of a fleet's members will refuse, as review --fleet shows it: all members, within a minute."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psycopg

from pgyoyo.engine import connection
from pgyoyo.fleet import report, survey
from pgyoyo.review import live_checks
from pgyoyo.units import number

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.cli.fleet_run import FleetRun
    from pgyoyo.cli.fleet_sizes import Faults
    from pgyoyo.fleet.members import Member
    from pgyoyo.review.live_checks import Answer
    from pgyoyo.review.sheet import Finding, Review, Sheet

_PATIENCE = 60.0  # seconds for the rows of all members; a question of one has the three of live_checks
_NAMED = 5  # members whose rows a finding counts


@dataclass(slots=True)
class _Asked:
    """The answers of the members to one question, by id."""

    answers: dict[str, Answer] = field(default_factory=dict)

    def finding(self, members: int) -> Finding | None:
        """The finding on all of them, None where no row is refused."""
        refused = {name: answer for name, answer in self.answers.items() if answer.count}
        if not refused:
            return None
        most = sorted(refused.items(), key=lambda entry: -entry[1].count)
        words = ", ".join(f"{name} ({live_checks.rows_words(answer)})" for name, answer in most[:_NAMED])
        more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        worst = next((answer for answer in refused.values() if not answer.changes), most[0][1])
        return live_checks.finding(worst, f"rows of {len(refused):,} of {number(members, 'member')}, {words}{more}")

    def note(self) -> str | None:
        """Whose rows could not be asked, and why."""
        refusals: dict[str, list[str]] = {}
        for name, answer in self.answers.items():
            if answer.refusal:
                refusals.setdefault(answer.refusal, []).append(name)
        words = next(iter(self.answers.values())).ask.words
        texts = [f"{report.names(ids)}: {refusal}" for refusal, ids in refusals.items()]
        return f"not asked of the members: {words}: {'; '.join(texts)}" if texts else None


def with_rows(run: FleetRun, members: Sequence[Member], review: Review, faults: Faults) -> Review:
    """The same review with what the rows of the members refuse as findings, each for all of them; reads only."""
    if not live_checks.tables_of(review, lambda _: "public"):
        return review
    until = time.monotonic() + _PATIENCE

    def question(conn: Connection, part: Sequence[Member]) -> list[tuple[Member, Sequence[Answer] | str | None]]:
        return [(member, _ask(conn, member, review) if time.monotonic() < until else None) for member in part]

    asked: dict[tuple[int, int, str], _Asked] = {}
    late: list[str] = []
    for answer in survey.ask(members, question, run.fleet.limits, run.visitor.sessions):
        if answer.value is None:
            faults.add(answer.members, answer.fault)
        for member, given in answer.value or ():
            if given is None:
                late.append(member.id)
            elif isinstance(given, str):
                faults.add([member], given)
            else:
                for each in given:
                    key = id(each.sheet), each.statement.number, each.ask.words
                    asked.setdefault(key, _Asked()).answers[member.id] = each
    notes = (
        [f"the rows of {number(len(late), 'member')} were not asked, in a minute: {report.names(late)}"] if late else []
    )
    sheets = (_added(sheet, asked, len(members)) for sheet in review.sheets)
    return replace(review, sheets=tuple(sheets), notes=(*review.notes, *notes))


def _added(sheet: Sheet, asked: Mapping[tuple[int, int, str], _Asked], members: int) -> Sheet:
    own = [each for (of, _, _), each in asked.items() if of == id(sheet)]
    findings = filter(None, (each.finding(members) for each in own))
    notes = filter(None, (each.note() for each in own))
    return replace(sheet, findings=(*sheet.findings, *findings), notes=(*sheet.notes, *notes))


def _ask(conn: Connection, member: Member, review: Review) -> Sequence[Answer] | str:
    """The answers of a member, in the words that all have for them; or why it has none."""
    schema = member.schema or "public"
    names = {*live_checks.tables_of(review, lambda _: schema), *live_checks.tables_of(review, lambda _: "public")}
    try:
        catalog = live_checks.catalog_of(conn, names)
        # What a schema lacks, it has in common with others.
        given = live_checks.answers(
            review, conn, catalog, lambda name: schema if (schema, name) in catalog else "public"
        )
        return list(_alike(given, schema))
    except psycopg.Error as error:
        if conn.closed:
            raise
        return connection.redact(str(error).strip(), member.plain)


def _alike(given: Iterator[Answer], schema: str) -> Iterator[Answer]:
    # No end of another name: a table data.x in a schema ta.
    prefix = re.compile(rf"(?<![\w.]){re.escape(schema)}\.")
    for answer in given:
        words = prefix.sub("", answer.ask.words) if answer.ask.table[0] == schema else answer.ask.words
        yield replace(answer, ask=replace(answer.ask, words=words))
