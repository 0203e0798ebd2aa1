"""The functions that statements go through, and what the server says of the SQL in their bodies."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import Connection, sql

from pgyoyo.queries import named
from pgyoyo.workload.bodies import Body, Part, body, used
from pgyoyo.workload.guards import Table

_QUERIES = Path(__file__).with_name("functions.sql")
_SETTING = re.compile(r"^ SET .*$", re.MULTILINE)
_TAG = "$pgyoyo_body$"


@dataclass(frozen=True)
class Function:
    """A function; `signature` tells it from its namesakes."""

    signature: str
    name: str
    language: str
    source: str
    definition: str
    volatile: bool

    @cached_property
    def body(self) -> Body:
        """What it sends."""
        return body(self.language, self.source, self.definition)

    @property
    def settings(self) -> list[str]:
        """Its own SET clauses."""
        return _SETTING.findall(self.definition.partition("\nAS ")[0])


@dataclass(frozen=True, slots=True)
class Checked:
    """A body as the server sees it: its statements, and the errors of those that it does not take."""

    texts: frozenset[str]
    faults: Mapping[str, str]

    def new(self, before: "Checked | None") -> dict[str, str]:
        """The errors of statements that were taken before."""
        if before is None:
            return {}
        return {text: error for text, error in self.faults.items() if text in before.texts - before.faults.keys()}


class Functions:
    """The functions of a database as it is, by name; what the server says of a body is asked once."""

    def __init__(self, conn: Connection, by_name: Mapping[str, tuple[Function, ...]]) -> None:
        self.by_name = by_name
        self.by_signature = {each.signature: each for functions in by_name.values() for each in functions}
        self._conn = conn
        self._checked: dict[tuple[str, int], Checked] = {}

    def checked(self, function: Function, table: Table | None) -> Checked:
        """What the server says of a body now; `table` is that of a trigger. No transaction is open."""
        key = function.signature, table.oid if table else 0
        if key not in self._checked:
            texts = [part.text for part in function.body.parts] or [""]
            self._checked[key] = Checked(frozenset(texts), dict(self._ask(function, table)))
        return self._checked[key]

    def mentions(self, signature: str, names: Collection[str]) -> bool:
        """Whether the source of that function has one of the words, all in lower case."""
        function = self.by_signature.get(signature)
        source = function.source.lower() if function else ""
        return not set(re.findall(r"\w+", source)).isdisjoint(names)

    def sources(self) -> Iterator[str]:
        """The source of each function."""
        return (each.source or each.definition for functions in self.by_name.values() for each in functions)

    def known(self, function: Function, table: Table | None) -> Checked | None:
        """Its answer; None where it was not asked."""
        return self._checked.get((function.signature, table.oid if table else 0))

    def _ask(self, function: Function, table: Table | None) -> Iterator[tuple[str, str]]:
        if function.language == "sql":
            if error := self._error(function.definition):
                yield "", error
            return
        parts = function.body.parts
        if not parts or not self._error(self._wrapped(function, table, parts)):
            return
        for part in parts:
            if error := self._error(self._wrapped(function, table, [part])):
                yield part.text, error

    def _wrapped(self, function: Function, table: Table | None, parts: Sequence[Part]) -> str:
        """Statements as a function of SQL, whose arguments are the variables: the server checks it when it is made."""
        text = ";\n".join(part.text for part in parts)
        variables = dict(function.body.variables or {})
        if table:
            variables |= {"new": table.qualified, "old": table.qualified}
        arguments = ", ".join(
            f"{sql.Identifier(name).as_string()} {kind}" for name, kind in used(text, variables).items()
        )
        settings = "\n".join(function.settings)
        return (
            f"CREATE FUNCTION pg_temp.pgyoyo_body({arguments}) RETURNS void LANGUAGE sql\n{settings}\n"
            f"AS {_TAG}{text};\nSELECT{_TAG}"
        )

    def _error(self, text: str) -> str:
        """The server's words, "" where it takes the statement, which is rolled back."""
        try:
            with self._conn.transaction(force_rollback=True):
                self._conn.execute("SET LOCAL check_function_bodies = on")
                self._conn.execute(text.encode())
        except psycopg.Error as error:
            return error.diag.message_primary or str(error)
        return ""


def read(conn: Connection) -> Functions:
    """The functions as they are now."""
    by_name: dict[str, tuple[Function, ...]] = {}
    for row in conn.execute(named(_QUERIES)["functions"].encode()):
        made = Function(*row)
        by_name[made.name] = (*by_name.get(made.name, ()), made)
    return Functions(conn, by_name)
