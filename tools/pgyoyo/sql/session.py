"""What a statement leaves in its session, so that a file can be resumed in another one."""

import re
from dataclasses import dataclass

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

# A SELECT of these alone can be sent again: they set something in the session, and do no more.
_SETTERS = frozenset((
    "set_config", "setseed", "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared", "pg_advisory_unlock", "pg_advisory_unlock_shared", "dblink_connect", "dblink_connect_u",
    "dblink_disconnect",
))  # fmt: skip
# Beside them, these only compute.
_PURE = frozenset((
    "coalesce", "concat", "concat_ws", "current_database", "current_schema", "current_setting", "format", "lower",
    "quote_ident", "quote_literal", "replace", "upper",
))  # fmt: skip
_REPEATED = frozenset(("PrepareStmt", "DeallocateStmt", "ListenStmt", "UnlistenStmt", "LoadStmt", "DiscardStmt"))
_WRITES = frozenset(("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"))
_NO_COMMANDS = _WRITES | _REPEATED | {"SelectStmt", "CopyStmt", "TruncateStmt", "VariableSetStmt", "VacuumStmt"}
_HOLD = 0x20  # CURSOR_OPT_HOLD of parsenodes.h
# In a DO block: a setting that outlives its transaction, and a temporary object.
_SETS_IN_CODE = re.compile(
    r"(?i)(?:^|;|\b(?:begin|then|else|loop)\b|(?:\bexecute\s|=|\bdefault\s)\s*(?:format\s*\(\s*)?')\s*(?:re)?set\s+(?!local\b|constraints\b|transaction\b)"
    r"|\bset_config\s*\((?![^;]*,\s*(?:is_local\s*=>\s*)?true\s*\))"
)
_CALLED_IN_CODE = re.compile(r"(?<![\w$])([^\W\d][\w$]*)\"?\s*\(")
_WRITTEN_IN_CODE = re.compile(
    r"(?i)\b(?:insert\s+into|update|delete\s+from|merge\s+into|truncate|copy)\s+(?:table\s+|only\s+)*(?:(?:\w+|\"[^\"]+\")\.)?(\w+|\"[^\"]+\")"
)
_TEMPORARY_IN_CODE = re.compile(
    r"(?i)\bcreate\s+(?:local\s+|global\s+)?temp(?:orary)?\s+(?![^;]*\bon\s+commit\s+drop\b)"
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement leaves in its session: `repeat` can be had again by sending it again, `lost` can't, and says what.

    `name` is what it made, which a later statement that mentions it needs; without one any may need it. `forgets` is that
    it undid whatever those before it left.
    """

    repeat: bool = False
    lost: str = ""
    name: str = ""
    forgets: bool = False

    def is_needed_by(self, text: bytes) -> bool:
        """Whether a later statement needs what is lost."""
        if not self.name:
            return True
        return re.search(rf"(?i)(?<!\w){re.escape(self.name)}(?!\w)", text.decode(errors="replace")) is not None


NOTHING = Effect()


def effect(text: bytes) -> Effect:
    """What the statement leaves in its session, as far as its text shows: a function that it calls may set more."""
    node = tree.parse(text.decode(errors="replace"))
    if node is None:
        return NOTHING
    match kind := tree.kind(node):
        case "VariableSetStmt":
            return NOTHING if node.is_local or node.name.upper() == "TRANSACTION" else Effect(repeat=True)
        case "DiscardStmt" if b"all" in text.lower().split():
            return Effect(forgets=True)
        case "DoStmt":
            return code_effect(text.decode(errors="replace"))
        case "UpdateStmt" if node.relation.relname == "pg_settings" and not node.from_clause:
            return Effect(repeat=True)
        case "DeclareCursorStmt":
            held = node.options & _HOLD
            return Effect(lost=f"opened the cursor {node.portalname}", name=node.portalname) if held else NOTHING
        case _ if kind in _REPEATED:
            return Effect(repeat=True)
    if name := _temporary(node):
        return Effect(lost=f"made {name} as a temporary object", name=name)
    return _calls(node)


def called(text: bytes) -> frozenset[str]:
    """The names of what a statement calls, whose code may leave something too; of a DO, of all that looks like a call."""
    node = tree.parse(text.decode(errors="replace"))
    if node is None:
        return frozenset()
    if tree.kind(node) == "DoStmt":
        return called_in_code(text.decode(errors="replace"))
    return frozenset(tree.name(part) for part in tree.walk(node) if tree.kind(part) == "FuncCall")


def called_in_code(text: str) -> frozenset[str]:
    """The names in the code of a function, or of a DO, that stand before a bracket."""
    names = _CALLED_IN_CODE.findall(text)
    return frozenset(names) | frozenset(name.lower() for name in names)


def written(text: bytes) -> frozenset[str]:
    """The names of the tables that a statement writes to, whose triggers may fire; of a DO, those that its code names."""
    node = tree.parse(text.decode(errors="replace"))
    if node is None:
        return frozenset()
    if tree.kind(node) == "DoStmt":
        return written_in_code(text.decode(errors="replace"))
    relations = [part.relation for part in tree.walk(node) if tree.kind(part) in (*_WRITES, "CopyStmt")]
    relations += [tree.unwrap(each) for each in node.relations] if tree.kind(node) == "TruncateStmt" else []
    return frozenset(relation.relname for relation in relations if relation.relname)


def written_in_code(text: str) -> frozenset[str]:
    """The names in the code of a function, or of a DO, that stand where a table is written to."""
    names = _WRITTEN_IN_CODE.findall(text)
    return frozenset(name[1:-1] if name.startswith('"') else name.lower() for name in names)


def is_command(text: bytes) -> bool:
    """Whether event triggers may fire for it: it is neither on rows nor a setting; a DO may hold any."""
    node = tree.parse(text.decode(errors="replace"))
    return node is not None and tree.kind(node) not in _NO_COMMANDS


def code_effect(text: str) -> Effect:
    """What the code of a DO or of a function leaves in its session."""
    if _SETS_IN_CODE.search(text):
        return Effect(lost="set something of its session in code")
    if _TEMPORARY_IN_CODE.search(text):
        return Effect(lost="made a temporary object in code")
    return NOTHING


def _temporary(node: Node) -> str:
    """The name of the temporary object that a CREATE or a SELECT INTO makes, or ""."""
    kind = tree.kind(node)
    if kind in ("CreateFunctionStmt", "CreateEnumStmt", "CreateRangeStmt", "CreateDomainStmt"):
        field = {"CreateFunctionStmt": "funcname", "CreateDomainStmt": "domainname"}.get(kind, "type_name")
        names = [part.string.sval for part in getattr(node, field)]
        return names[-1] if names[0] == "pg_temp" else ""
    into = {
        "CreateStmt": lambda: node.relation,
        "CompositeTypeStmt": lambda: node.typevar,
        "CreateSeqStmt": lambda: node.sequence,
        "ViewStmt": lambda: node.view,
        "CreateTableAsStmt": lambda: node.into.rel,
        "SelectStmt": lambda: node.into_clause.rel,
    }
    if kind not in into:
        return ""
    relation = into[kind]()
    return str(relation.relname) if relation.relpersistence == "t" or relation.schemaname == "pg_temp" else ""


def _calls(node: Node) -> Effect:
    """The effect of a statement that calls what sets something in the session."""
    calls = [part for part in tree.walk(node) if tree.kind(part) == "FuncCall"]
    names = {tree.name(call) for call in calls}
    lasting = [call for call in calls if tree.name(call) in _SETTERS and not _is_local(call)]
    if not lasting:
        return NOTHING
    is_bare = tree.kind(node) == "SelectStmt" and not {tree.kind(part) for part in tree.walk(node)} & _WRITES
    if is_bare and not node.from_clause and names <= _SETTERS | _PURE:
        return Effect(repeat=True)
    return Effect(lost=f"called {tree.name(lasting[0])} beside other work")


def _is_local(call: Node) -> bool:
    """Whether a set_config ends with its transaction."""
    if tree.name(call) != "set_config" or len(call.args) < 3:
        return False
    value = tree.unwrap(call.args[2])
    if tree.kind(value) == "NamedArgExpr":
        value = tree.unwrap(value.arg)
    if tree.kind(value) == "TypeCast":
        value = tree.unwrap(value.arg)
        return bool(value.sval.sval.lower().startswith("t"))
    return bool(tree.kind(value) == "A_Const" and value.boolval.boolval)
