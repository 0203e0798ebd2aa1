"""What the server says of an application's statements, without running them: it analyses, describes and plans each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import Connection, OperationalError
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

# Statements on the way at once: their answers fit into the buffers of both sides.
_AT_ONCE = 100
_EXPLAIN = b"EXPLAIN (COSTS OFF) "
_SYNTAX_ERROR = "42601"
# Classes of SQLSTATEs: not supported, names and rights, not in the state that is needed.
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
    """A statement that the server understands: the types of $1, $2 and so on, and the names and types of its columns."""

    parameters: tuple[Type, ...]
    columns: tuple[tuple[str, Type], ...]


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
    answers = _answers(conn, [_Question(text.encode()) for text in texts])
    understood = {place: answer for place, answer in enumerate(answers) if not isinstance(answer, Refusal)}
    plans = _answers(conn, [_Question(_EXPLAIN + texts[n].encode(), a.nparams) for n, a in understood.items()])
    for place, plan in zip(understood, plans, strict=True):
        if isinstance(plan, Refusal) and _is_of_the_schema(plan):
            answers[place] = plan
    types = sorted({key for answer in answers if not isinstance(answer, Refusal) for key in _types(answer)})
    oids, modifiers = [oid for oid, _ in types], [modifier for _, modifier in types]
    names = [name for (name,) in conn.execute(_TYPE_NAMES, (oids, modifiers))]
    known = {key: Type(*key, name) for key, name in zip(types, names, strict=True)}
    return [answer if isinstance(answer, Refusal) else _described(answer, known) for answer in answers]


def _is_of_the_schema(plan: Refusal) -> bool:
    """Whether the planner misses something in the schema, such as the unique index of an ON CONFLICT.

    The other errors come from the NULLs that it was given as values, and a syntax error from CALL: EXPLAIN knows none.
    """
    return plan.sqlstate.startswith(_OF_THE_SCHEMA) and plan.sqlstate != _SYNTAX_ERROR


@dataclass(frozen=True, slots=True)
class _Question:
    """A statement to describe, or an EXPLAIN to run with so many NULLs for parameters."""

    text: bytes
    nulls: int | None = None

    def send(self, pgconn: PGconn) -> None:
        if self.nulls is None:
            pgconn.send_prepare(b"", self.text)
            pgconn.send_describe_prepared(b"")
        else:
            pgconn.send_query_params(self.text, [None] * self.nulls)
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


def _described(result: PGresult, known: dict[tuple[int, int], Type]) -> Description:
    types = [known[key] for key in _types(result)]
    columns = [(result.fname(number) or b"").decode(errors="replace") for number in range(result.nfields)]
    return Description(tuple(types[: result.nparams]), tuple(zip(columns, types[result.nparams :], strict=True)))
