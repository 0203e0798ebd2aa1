"""Settings that change how the server reads SQL text, and the statements of a file that change them.

The server splits a message into tokens before it runs its first statement. So what follows such a statement means something
else in a message of its own, as psql sends it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pgyoyo.sql import tree
from pgyoyo.sql.lexer import mentioned
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.tree import Node

# By setting (scan.l, and mbutils.c for the encoding), the values under which the text means what it means by default.
DEFAULTS = {
    "standard_conforming_strings": frozenset(("on", "true", "yes", "1", "t", "y", "tru", "tr", "ye")),
    "backslash_quote": frozenset(("safe_encoding",)),
    "escape_string_warning": frozenset(("on", "true", "yes", "1", "off", "false", "no", "0")),  # only a warning
    "client_encoding": frozenset(("utf8", "unicode")),
}
_WORDS = tuple(name.encode() for name in DEFAULTS)
# They can change any setting without naming it as one word: SET NAMES, RESET ALL, DISCARD ALL, code that joins strings.
_VAGUE = re.compile(rb"(?i)\b(?:set\s+names|(?:reset|discard)\s+all)\b")
_CODE = frozenset(("DoStmt", "CallStmt", "ExecuteStmt"))


class LexicalChange(NamedTuple):
    """How a statement changes such a setting; `value` is None where it is unknown: RESET, DEFAULT, an expression, code.

    `scope` is session or transaction for a change that is in force at once, and later for ALTER ROLE, ALTER DATABASE and
    ALTER SYSTEM, which sessions that begin later see.
    """

    setting: str
    value: str | None
    scope: str

    @property
    def is_default(self) -> bool:
        """Whether the text means the same as before."""
        return self.value is not None and self.value.lower().replace("-", "") in DEFAULTS[self.setting]


def changing(script: Script) -> set[Statement]:
    """The statements of a script that change, or may change, at once how what follows them is read.

    One that sets a default counts behind another one, and so does going back to a savepoint.
    """
    needing: set[Statement] = set()
    for statement in script.statements:
        changes = [change for change in lexical_changes(script.text(statement)) if change.scope != "later"]
        if any(needing or not change.is_default for change in changes) or (needing and statement.kind == "savepoint"):
            needing.add(statement)
    return needing


def lexical_changes(text: bytes) -> list[LexicalChange]:
    """What in a statement changes how the server reads text, the harmless `SET client_encoding = 'UTF8'` included.

    In code (DO, a function that it defines or calls) a mention of the setting's name counts, since it may be run.
    """
    names = [word.decode() for word in mentioned(text, _WORDS)]
    if not names and not _VAGUE.search(text):
        return []
    node = tree.parse(text.decode(errors="replace"))
    settings = list(_in_tree(node)) if node is not None else [(name, None, "session") for name in names or DEFAULTS]
    return [LexicalChange(*setting) for setting in settings]


def _in_tree(node: Node) -> Iterator[tuple[str, str | None, str]]:
    """The settings that a statement changes: name, value, scope."""
    match tree.kind(node):
        case "VariableSetStmt":
            yield from _set(node, "transaction" if node.is_local else "session")
        case "AlterRoleSetStmt" | "AlterDatabaseSetStmt" | "AlterSystemStmt":
            yield from _set(node.setstmt, "later")
        case "DiscardStmt":
            yield from ((name, None, "session") for name in DEFAULTS)
        case kind:
            for part in tree.walk(node):
                if tree.kind(part) == "FuncCall" and tree.name(part) == "set_config":
                    yield from _set_config([tree.unwrap(argument) for argument in part.args])
            if kind in _CODE or kind.startswith("CreateFunction"):
                code = re.sub(r"\bset\s+names\b", "client_encoding", str(node).lower())
                yield from ((name, None, "session") for name in DEFAULTS if name in code)


def _set(node: Node, scope: str) -> Iterator[tuple[str, str | None, str]]:
    kind = node.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[node.kind].name
    if kind == "VAR_RESET_ALL":
        yield from ((name, None, scope) for name in DEFAULTS)
    elif node.name.lower() in DEFAULTS:
        value = _constant(tree.unwrap(node.args[0])) if kind == "VAR_SET_VALUE" and node.args else None
        yield node.name.lower(), value, scope


def _set_config(arguments: list[Node]) -> Iterator[tuple[str, str | None, str]]:
    name = _constant(arguments[0]) if arguments else None
    if name is None:  # an expression: any of them
        yield from ((setting, None, "session") for setting in DEFAULTS)
    elif name.lower() in DEFAULTS:
        value = _constant(arguments[1]) if len(arguments) > 1 else None
        local = len(arguments) > 2 and _constant(arguments[2]) in ("true", "on", "t", "yes", "1")
        yield name.lower(), value, "transaction" if local else "session"


def _constant(node: Node) -> str | None:
    """The text of a literal, a cast of one included."""
    if tree.kind(node) == "TypeCast":
        return _constant(tree.unwrap(node.arg))
    if tree.kind(node) != "A_Const" or node.isnull:
        return None
    which = node.WhichOneof("val")
    value = getattr(getattr(node, which), which)
    return str(value).lower() if isinstance(value, bool) else str(value)
