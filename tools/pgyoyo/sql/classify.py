"""The kind of a statement, its name and what it is about: by its first words, and by its parse tree where they don't tell."""

import re
from collections.abc import Iterable
from functools import lru_cache

from google.protobuf.message import DecodeError
from postgast import PgQueryError
from postgast import parse as parse_tree
from postgast import pg_query_pb2 as pb

from pgyoyo.sql import psql_scanner
from pgyoyo.sql.lexer import skip_blank
from pgyoyo.sql.script import Statement, Target, filed_offset
from pgyoyo.sql.tree import Node

# A statement's kind by its first words; the first match counts. "chain" ends a transaction and begins the next.
_KINDS = tuple(
    (kind, re.compile(rf"(?:{words})(?: |$)"))
    for kind, words in (
        ("begin", "BEGIN|START TRANSACTION"),
        ("two-phase", "(?:COMMIT|ROLLBACK) PREPARED|PREPARE TRANSACTION$"),
        ("chain", "(?:COMMIT|END|ROLLBACK|ABORT)(?: WORK| TRANSACTION)? AND CHAIN"),
        ("savepoint", "SAVEPOINT|RELEASE|ROLLBACK(?: WORK| TRANSACTION)? TO"),
        ("commit", "COMMIT|END"),
        ("rollback", "ROLLBACK|ABORT"),
        ("update", "UPDATE"),
        ("create-index-concurrently", "CREATE (?:UNIQUE )?INDEX CONCURRENTLY"),
        ("drop-index-concurrently", "DROP INDEX CONCURRENTLY"),
        ("other-no-transaction", "VACUUM|DISCARD ALL|ALTER SYSTEM|(?:CREATE|DROP) (?:DATABASE|TABLESPACE)"),
        ("other-no-transaction", r'ALTER DATABASE (?:"[^"]*"|\S+) (?:SET |WITH )?TABLESPACE'),
    )
)
# These few are parsed: their first words don't settle their kind, or their index must be known.
_AMBIGUOUS = re.compile(
    r"(?:COPY|REINDEX|CLUSTER|(?:CREATE|ALTER) SUBSCRIPTION|ALTER TABLE|.* INDEX CONCURRENTLY)(?: |$)"
)
# In a far longer one, libpg_query's walk through a deep expression can overrun the stack (seen at 400 kB of "1+1+…").
_LONGEST_PARSED = 1 << 16
# The words that can stand before the name of a statement's object.
_BEFORE_NAME = (
    "ABORT ACCESS AGGREGATE ALL ALTER ANALYZE AND AS ATTRIBUTE BEGIN CALL CAST CHAIN CLOSE CLUSTER COLLATION COLUMN "
    "COMMENT COMMIT COMMITTED CONCURRENTLY CONFIGURATION CONSTRAINT CONSTRAINTS CONVERSION COPY CREATE DATA DATABASE "
    "DECLARE DEFAULT DELETE DICTIONARY DISCARD DO DOMAIN DROP END EVENT EXECUTE EXPLAIN EXTENSION FOREIGN FROM "
    "FUNCTION GLOBAL GRANT IMPORT IN INDEX INSERT INTO ISOLATION LANGUAGE LARGE LEVEL LISTEN LOCAL LOCK MAPPING "
    "MATERIALIZED MERGE METHOD NOTIFY OBJECT OF ON OPERATOR OR OWNED PARSER PLANS POLICY PREPARE PREPARED PRIVILEGES "
    "PROCEDURAL PROCEDURE PUBLICATION READ REASSIGN RECURSIVE REFRESH REINDEX RELEASE REPLACE RESET REVOKE ROLE "
    "ROLLBACK ROUTINE RULE SAVEPOINT SCHEMA SEARCH SECURITY SELECT SEQUENCE SEQUENCES SERIALIZABLE SERVER SESSION SET "
    "SHOW START STATISTICS SUBSCRIPTION SYSTEM TABLE TABLES TABLESPACE TEMP TEMPLATE TEMPORARY TEXT TO TRANSACTION "
    "TRANSFORM TRIGGER TRUNCATE TRUSTED TYPE UNIQUE UNLISTEN UNLOGGED UPDATE USAGE USER VACUUM VERBOSE VIEW WITH WORK "
    "WRAPPER"
)
_KEYWORDS = frozenset(_BEFORE_NAME.split())
_LEFT_OUT = frozenset(("IF", "NOT", "EXISTS", "ONLY"))
_WORD = rf"""(?:{psql_scanner.QUOTED}|{psql_scanner.NAME}(?!'))(?:\.(?:{psql_scanner.QUOTED}|{psql_scanner.NAME}))*"""
_HEAD = psql_scanner.pattern(rf"{_WORD}(?:[ \t\r\n\f\v]*+{_WORD}){{0,7}}[ \t\r\n\f\v]*+")
_HEAD_WORD = psql_scanner.pattern(_WORD)
_WORDS = re.compile(_WORD.replace(r"\xff", r"\U0010ffff"))


def statement(
    sql: bytes, start: int, end: int, pieces: tuple[tuple[int, int], ...], copies: dict[int, tuple[int, int]]
) -> Statement:
    """The statement at a place of what is sent; `pieces` tell where in the file that is, `copies` where COPY's data is."""
    while sql[end - 1] in b" \t\r\n\f\v":
        end -= 1
    match = _HEAD.match(sql, start, end)
    head = match[0] if match else sql[start : min(end, start + 60)]
    if match and sql.startswith((b"/*", b"--"), match.end()):
        head = _words_with_comments(sql, start, end)
    kind, name, unsure = _described(head)
    if len(pieces) == 1:
        filed, filed_end = start + pieces[0][1], end + pieces[0][1]
    else:
        filed, filed_end = filed_offset(pieces, start), filed_offset(pieces, end - 1) + 1
    if not unsure:
        return Statement(filed, filed_end, kind, name)
    if psql_scanner.COPY_IN.match(sql, start, end):
        return Statement(
            filed, filed_end, "copy-in", f"{name[:49]} FROM stdin", copies.get(filed, (filed_end, filed_end))
        )
    if name.startswith("ALTER TABLE") and b"concurrently" not in sql[start:end].lower():
        return Statement(filed, filed_end, kind, name)
    kind, target = _kind_by_tree(sql[start:end]) or (kind, None)
    return Statement(filed, filed_end, kind, name, target=target)


def _words_with_comments(sql: bytes, start: int, end: int) -> bytes:
    """The first words of a statement that has comments between them."""
    words: list[bytes] = []
    while len(words) < 8 and (match := _HEAD_WORD.match(sql, start, end)):
        words.append(match[0])
        start = skip_blank(sql, match.end(), end)
    return b" ".join(words)


@lru_cache(maxsize=4096)
def _described(head: bytes) -> tuple[str, str, bool]:
    """Kind and name of a statement with these first words, and whether it must be parsed for its kind."""
    words = [" ".join(word.split()) for word in _WORDS.findall(head.decode(errors="replace"))]
    shown: list[str] = []
    for word in words:
        if word.upper() in _KEYWORDS:
            shown.append(word.upper())
        elif word.upper() not in _LEFT_OUT:
            shown.append(word)
            break
    text = head.decode(errors="replace")
    name = " ".join(shown) or " ".join(text.split()) or ascii(text)
    text = " ".join(word.upper() for word in words)
    kind = next((kind for kind, words in _KINDS if words.match(text)), "other")
    return kind, name if len(name) <= 60 else name[:59] + "…", _AMBIGUOUS.match(text) is not None


def _kind_by_tree(text: bytes) -> tuple[str, Target | None] | None:
    """Kind and target of a statement by its parse tree; None if it can't be parsed.

    What depends on the database is left to the server: a partitioned table's REINDEX or CLUSTER, a subscription's slot.
    """
    if len(text) > _LONGEST_PARSED:
        return None
    try:
        node = parse_tree(text.decode()).stmts[0].stmt
    except (PgQueryError, DecodeError, IndexError):
        return None
    refused = False
    match node.WhichOneof("node"):
        case "copy_stmt":
            copy = node.copy_stmt
            return "other" if copy.is_from or copy.is_program or copy.filename else "copy-out", None
        case "index_stmt":
            index, table = node.index_stmt, node.index_stmt.relation
            target = Target(table.schemaname or None, index.idxname or None, table.relname)
            return "create-index-concurrently", target
        case "drop_stmt":
            *schema, name = [part.string.sval for part in node.drop_stmt.objects[0].list.items]
            target = Target(schema[-1] if schema else None, name, None)
            return "drop-index-concurrently", target
        case "reindex_stmt":
            reindex, table = node.reindex_stmt, node.reindex_stmt.relation
            if table.relname and _option(reindex.params, "concurrently", default=False):
                of_index = reindex.kind == pb.REINDEX_OBJECT_INDEX
                index_name, table_name = (table.relname, None) if of_index else (None, table.relname)
                target = Target(table.schemaname or None, index_name, table_name)
                return "reindex-concurrently", target
            refused = not table.relname
        case "cluster_stmt":
            refused = not node.cluster_stmt.relation.relname
        case "create_subscription_stmt":
            options = node.create_subscription_stmt.options
            refused = _option(options, "connect", default=True) and _option(options, "create_slot", default=True)
        case "alter_subscription_stmt":
            change = node.alter_subscription_stmt
            refreshes = bool(change.publication) or change.kind == pb.ALTER_SUBSCRIPTION_REFRESH
            refused = refreshes and _option(change.options, "refresh", default=True)
        case "alter_table_stmt":
            refused = any(
                getattr(cmd.alter_table_cmd, "def").partition_cmd.concurrent for cmd in node.alter_table_stmt.cmds
            )
    return "other-no-transaction" if refused else "other", None


def _option(options: Iterable[Node], name: str, *, default: bool) -> bool:
    """The value of a boolean option, which may be given as a bare name, a word or a number (defGetBoolean)."""
    for option in options:
        if option.def_elem.defname == name:
            value = option.def_elem.arg
            if value.WhichOneof("node") == "integer":
                return bool(value.integer.ival)
            word: str = value.type_name.names[-1].string.sval if value.HasField("type_name") else value.string.sval
            return word.lower() not in ("false", "off")
    return default
