"""What becomes of an application's statements with a change of the schema: all that the server says, before and after."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from psycopg import Connection

from pgyoyo.workload import functions, guards, labels, plans, rights
from pgyoyo.workload.comparison import Effect, effects
from pgyoyo.workload.description import Description, Refusal, describe
from pgyoyo.workload.functions import Functions
from pgyoyo.workload.guards import Guards
from pgyoyo.workload.labels import Labels
from pgyoyo.workload.plans import Indexes
from pgyoyo.workload.reach import Reach, Reaching, Sent
from pgyoyo.workload.refusal import Refusal as WriteRefusal
from pgyoyo.workload.refusals import refusals
from pgyoyo.workload.unused import unused


@dataclass(frozen=True, slots=True)
class Look:
    """The statements and what they touch, as the schema was at one moment."""

    described: Sequence[Description | Refusal]
    guards: Guards
    indexes: Indexes
    functions: Functions
    reached: Sequence[Reach]
    labels: Labels


@dataclass(frozen=True, slots=True)
class Fault:
    """A function on the way of a statement that fails now, with the server's words; `sure`: whenever it is called."""

    function: str
    words: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a statement: `lost` are indexes, `hidden` functions that send what nobody can see.

    `untaken`: values of enums that its parameters may have had, `rights`: what its role may not do any more, both in words.
    """

    before: Description | Refusal
    now: Description | Refusal
    effects: frozenset[Effect] = frozenset()
    refused: tuple[WriteRefusal, ...] = ()
    faults: tuple[Fault, ...] = ()
    lost: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    untaken: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()


def look(conn: Connection, texts: Sequence[str], statements: Sequence[Sent]) -> Look:
    """Ask the server about the statements as the schema is now; `conn` has no transaction open, and nothing is left there.

    `statements` are those of `texts`.
    """
    described, guarded, known = describe(conn, texts), guards.read(conn), functions.read(conn)
    reaching = Reaching(conn, guarded, known)
    reached = [reaching.of(statement) for statement in statements]
    for step in (step for each in reached for step in each.steps):
        known.checked(step.function, step.table)
    return Look(described, guarded, plans.read(conn), known, reached, labels.read(conn))


def verdicts(
    conn: Connection, before: Look, now: Look, statements: Sequence[Sent], written: Collection[str] = ()
) -> list[Verdict]:
    """What becomes of each statement between the two looks, the second of which is of the schema as it is.

    `written` are the names of tables that the change itself writes rows into, if there are any to write.
    """
    writes = [
        [*((write, True) for write in statement.writes), *reach.writes] if _are_understood(old, new) else []
        for old, new, statement, reach in zip(before.described, now.described, statements, now.reached, strict=True)
    ]
    code = chain(now.functions.sources(), (rule for each in now.guards.tables.values() for rule in each.rules))
    empty = unused(conn, before.guards, now.guards, written, code)
    refused = refusals(conn, before.guards, now.guards, writes, empty)
    forbidden = rights.losses(conn, before.guards, now.guards, statements)
    gone = before.indexes.gone(now.indexes)
    result = []
    answers = zip(before.described, now.described, now.reached, refused, forbidden, strict=True)
    for old, new, reach, refusing, losses in answers:
        if isinstance(old, Refusal) or isinstance(new, Refusal):
            result.append(Verdict(old, new, effects(old, new)))
            continue
        lost = plans.lost(old.plan, new.plan, gone, now.indexes)
        hidden = tuple(step.function.signature for step in reach.steps if not step.function.body.whole)
        faults = tuple(_faults(reach, before, now))
        untaken = tuple(labels.gone(new, before.labels, now.labels))
        result.append(Verdict(old, new, effects(old, new), refusing, faults, tuple(lost), hidden, untaken, losses))
    return result


def _are_understood(*answers: Description | Refusal) -> bool:
    return not any(isinstance(answer, Refusal) for answer in answers)


def _faults(reach: Reach, before: Look, now: Look) -> list[Fault]:
    faults = []
    for step in reach.steps:
        new = now.functions.checked(step.function, step.table).new(before.functions.known(step.function, step.table))
        sure_parts = {part.text for part in step.function.body.parts if part.sure} | {""}
        faults += [
            Fault(step.function.signature, words, step.sure and text in sure_parts) for text, words in new.items()
        ]
    return faults
