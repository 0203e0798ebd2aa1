"""What the server says of an application's statements, without running them: it analyses, describes and plans each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import Connection, OperationalError
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from pgyoyo.workload.plans import Plan, plan_of

# Statements on the way at once: their answers fit into the buffers of both sides.
_AT_ONCE = 100
_NAME = "pgyoyo_statement_{}"
# The plan for any values, as a prepared statement comes to have it, with an index wherever it serves, however few rows there
# are; EXPLAIN (GENERIC_PLAN) is there since PostgreSQL 16 only.
_PLANNING = (("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"))
_SETTINGS = """\
SELECT name, pg_catalog.current_setting(name), pg_catalog.set_config(name, value, false)
FROM ROWS FROM (pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[])) AS wanted (name, value)
"""
# Classes of SQLSTATEs of the planner, which misses something in the schema, such as the unique index of an ON CONFLICT; other
# errors come from the NULLs that it was given as values. Not supported, names and rights, not in the state that is needed.
_OF_THE_SCHEMA = ("0A", "42", "55")
_TYPE_NAMES = """\
SELECT pg_catalog.format_type(oid, CASE WHEN modifier OPERATOR(pg_catalog.<>) -1 THEN modifier END)
FROM ROWS FROM (pg_catalog.unnest(%s::pg_catalog.oid[]), pg_catalog.unnest(%s::pg_catalog.int4[]))
     WITH ORDINALITY AS type (oid, modifier, place)
ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Type:
    """A type as one database knows it: equal where a client sees no change, however it is called.

    A domain is the type below it here, as for clients.
    """

    oid: int
    modifier: int
    name: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Description:
    """A statement that the server understands: the types of $1, $2 and so on, and the names and types of its columns.

    `plan` is the one for any values, empty where it can't be made without them.
    """

    parameters: tuple[Type, ...]
    columns: tuple[tuple[str, Type], ...]
    plan: Plan = field(default=Plan(), compare=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that the server does not understand: its message and SQLSTATE."""

    message: str
    sqlstate: str


def describe(conn: Connection, texts: Sequence[str]) -> list[Description | Refusal]:
    """What the server says of each statement, in their order; none runs and none stays prepared.

    The planner may call IMMUTABLE functions. `conn` has no transaction open. Raises psycopg.OperationalError where the
    connection is lost.
    """
    # First of all, since psycopg may send DEALLOCATE ALL with a statement of its own.
    set_before = _set(conn, _PLANNING)
    names = [_NAME.format(place) for place in range(len(texts))]
    answers = _answers(conn, [_Question(name, text) for name, text in zip(names, texts, strict=True)])
    understood = {place: answer for place, answer in enumerate(answers) if not isinstance(answer, Refusal)}
    asked = [_Question("", _explain(names[place], answer.nparams)) for place, answer in understood.items()]
    plans = dict(zip(understood, _answers(conn, asked), strict=True))
    _answers(conn, [_Question("", f"DEALLOCATE {names[place]}") for place in understood])
    _set(conn, set_before)
    for place, plan in plans.items():
        if isinstance(plan, Refusal) and plan.sqlstate.startswith(_OF_THE_SCHEMA):
            answers[place] = plan
    types = sorted({key for answer in answers if not isinstance(answer, Refusal) for key in _types(answer)})
    oids, modifiers = [oid for oid, _ in types], [modifier for _, modifier in types]
    shown = [name for (name,) in conn.execute(_TYPE_NAMES, (oids, modifiers))]
    known = {key: Type(*key, name) for key, name in zip(types, shown, strict=True)}
    return [
        answer if isinstance(answer, Refusal) else _described(answer, known, plans[place])
        for place, answer in enumerate(answers)
    ]


def _set(conn: Connection, values: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Set these settings for the session; what they were."""
    rows = conn.execute(_SETTINGS, [[name for name, _ in values], [value for _, value in values]]).fetchall()
    return [(name, value) for name, value, _ in rows]


def _explain(name: str, parameters: int) -> str:
    nulls = f" ({', '.join(['NULL'] * parameters)})" if parameters else ""
    return f"EXPLAIN (COSTS OFF, FORMAT JSON) EXECUTE {name}{nulls}"


@dataclass(frozen=True, slots=True)
class _Question:
    """A statement to prepare and describe under a name, or, without one, to run."""

    name: str
    text: str

    def send(self, pgconn: PGconn) -> None:
        if self.name:
            pgconn.send_prepare(self.name.encode(), self.text.encode())
            pgconn.send_describe_prepared(self.name.encode())
        else:
            pgconn.send_query_params(self.text.encode(), None)
        pgconn.pipeline_sync()


def _answers(conn: Connection, questions: Sequence[_Question]) -> list[PGresult | Refusal]:
    starts = range(0, len(questions), _AT_ONCE)
    return [answer for start in starts for answer in _piped(conn, questions[start : start + _AT_ONCE])]


def _piped(conn: Connection, questions: Sequence[_Question]) -> list[PGresult | Refusal]:
    """The answers, read from a pipeline in which each statement stands by itself: an error ends only its own."""
    conn.pgconn.enter_pipeline_mode()
    try:
        for question in questions:
            question.send(conn.pgconn)
        return [_answer(conn) for _ in questions]
    finally:
        if conn.pgconn.status != ConnStatus.BAD:
            conn.pgconn.exit_pipeline_mode()


def _answer(conn: Connection) -> PGresult | Refusal:
    """The next statement's answer: the last result up to the end of its part of the pipeline, or the error."""
    answer: PGresult | Refusal | None = None
    while True:
        result = conn.pgconn.get_result()
        if result is None:
            if conn.pgconn.status == ConnStatus.BAD:
                raise OperationalError("the connection was lost while statements were described")
        elif result.status == ExecStatus.FATAL_ERROR:
            answer = Refusal(_field(result, DiagnosticField.MESSAGE_PRIMARY), _field(result, DiagnosticField.SQLSTATE))
        elif result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            answer = result
        elif result.status == ExecStatus.PIPELINE_SYNC and answer is not None:
            return answer


def _field(result: PGresult, field: DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode(errors="replace")


def _types(result: PGresult) -> list[tuple[int, int]]:
    """The types of parameters, then of columns: oid and modifier, -1 for none."""
    parameters = [(result.param_type(number), -1) for number in range(result.nparams)]
    return parameters + [(result.ftype(number), result.fmod(number)) for number in range(result.nfields)]


def _described(result: PGresult, known: dict[tuple[int, int], Type], explained: PGresult | Refusal) -> Description:
    types = [known[key] for key in _types(result)]
    columns = [(result.fname(number) or b"").decode(errors="replace") for number in range(result.nfields)]
    # A CALL has no plan: the server says so without an error, in JSON, too.
    text = None if isinstance(explained, Refusal) or not explained.ntuples else explained.get_value(0, 0)
    plan = plan_of(json.loads(text)) if text else Plan()
    return Description(tuple(types[: result.nparams]), tuple(zip(columns, types[result.nparams :], strict=True)), plan)
