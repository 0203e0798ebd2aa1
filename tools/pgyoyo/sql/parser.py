"""SQL split into statements, and these classified, by PostgreSQL's own parser."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import takewhile

from google.protobuf.message import DecodeError
from postgast import PgQueryError
from postgast import parse as parse_tree
from postgast import pg_query_pb2 as pb
from postgast.native import lib

from pgyoyo.sql import blocks, psql_scanner
from pgyoyo.sql.lexer import skip_blank, start_of
from pgyoyo.sql.script import AUTOCOMMIT, Script, Statement, Target, filed_offset, sent_offset
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
_CONTROL = frozenset(("begin", "commit", "rollback", "two-phase", "chain"))
# What would be an error, or mean something else, if a BEGIN … COMMIT came to stand around it.
_ONLY_INSIDE = AUTOCOMMIT | {"savepoint", "copy-out"}
_TRANSACTIONS_OWN = re.compile(
    r'(?i)SET (?:LOCAL\b|CONSTRAINTS\b|TRANSACTION\b|SESSION CHARACTERISTICS\b|(?:SESSION )?"?default_transaction_)'
)
_NEW_VALUE = re.compile(rb"(?i)\bALTER\s+TYPE\s[^;]*\bADD\s+VALUE\b")
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


def parse(data: bytes, *, transactional: bool = True) -> Script:
    """The statements of a file and what to send for it; `problems` are what only psql could run.

    The file holds UTF-8 and no NUL. Where it is not `transactional`, each BEGIN … COMMIT in it is one statement.
    """
    lines = psql_scanner.read(data, start_of(data)) if psql_scanner.needs_reading(data) else None
    sql, pieces = _text(data, lines)
    spans = _split(_without_escapes(sql, lines, pieces))
    parsed = spans is not None
    if spans is None:
        if lines is None:
            lines = psql_scanner.read(data, start_of(data))
            sql, pieces = _text(data, lines)
            spans = _split(_without_escapes(sql, lines, pieces)) if lines.blanks else None
            parsed = spans is not None
        if spans is None:
            spans = [(sent_offset(pieces, start), sent_offset(pieces, end)) for start, end in lines.statements]
    copies = lines.data if lines else {}
    statements = tuple(_statement(sql, start, end, pieces, copies) for start, end in spans)
    if not transactional:
        return Script(
            data, sql, blocks.folded(data, statements), None, (), tuple(lines.problems) if lines else (), parsed, pieces
        )
    wrapper = _wrapper(data, statements)
    # PostgreSQL accepts it only before the first query of the transaction, and the ledger's queries come first.
    inside = statements[statements.index(wrapper[0]) + 1 :] if wrapper else statements
    modes = tuple(takewhile(lambda statement: statement.name.startswith("SET TRANSACTION"), inside))
    moved = ((sent_offset(pieces, part.start), sent_offset(pieces, part.end)) for part in (*(wrapper or ()), *modes))
    sql = _blanked(sql, moved) if wrapper or modes else sql
    problems = tuple(lines.problems) if lines else ()
    moved_out = {*(wrapper or ()), *modes}
    kept = tuple(statement for statement in statements if statement not in moved_out) if moved_out else statements
    return Script(data, sql, kept, wrapper, modes, problems, parsed, pieces)


def _wrapper(data: bytes, statements: Sequence[Statement]) -> tuple[Statement, Statement] | None:
    """The BEGIN and COMMIT around the whole file; or its only ones, where all that stands outside of them may as well run
    inside, as in old dumps: SET …; BEGIN; …; COMMIT; ANALYZE; A value that an enum gets is of use only behind the COMMIT.
    """
    if len(statements) > 1 and (statements[0].kind, statements[-1].kind) == ("begin", "commit"):
        return statements[0], statements[-1]
    control = [number for number, statement in enumerate(statements) if statement.kind in _CONTROL]
    if [statements[number].kind for number in control] != ["begin", "commit"]:
        return None
    begin, end = control
    outside = (*statements[:begin], *statements[end + 1 :])
    if statements[end + 1 :] and _NEW_VALUE.search(data, statements[begin].end, statements[end].start):
        return None
    if any(statement.kind in _ONLY_INSIDE or _TRANSACTIONS_OWN.match(statement.name) for statement in outside):
        return None
    return statements[begin], statements[end]


def defects(script: Script, *, transactional: bool) -> list[tuple[int, str]]:
    """What must not be sent, as (line, message)."""
    problems = list(script.problems)
    for statement, is_inside in ((part, bool(step.block)) for step in script.statements for part in step.parts):
        name, kind = statement.name, statement.kind
        if kind == "copy-out":
            what = f"{name} sends rows to a client, and a migration has none; select them into a table, or remove it"
        elif transactional and kind in _CONTROL:
            what = (
                f"{name} inside the file, which pgyoyo runs in one transaction of its own; remove it "
                "(one BEGIN … COMMIT is accepted, with nothing outside it that a transaction would refuse or change)"
            )
        elif transactional and kind in AUTOCOMMIT:
            what = f"{name} can't run in a transaction; add the line \"-- transactional: false\" to the file's header"
        elif is_inside and kind in AUTOCOMMIT:
            what = f"{name} can't run in a transaction; move it behind the COMMIT of its block"
        elif not transactional and not is_inside and (kind in _CONTROL or kind == "savepoint"):
            what = (
                f'{name} in a file with "transactional: false", where each statement is committed by itself; '
                "remove it, or write whole blocks of BEGIN; … COMMIT;, one after the other"
            )
        else:
            continue
        problems.append((statement.start, what))
    return [(script.line(offset), what) for offset, what in sorted(problems)]


def _text(data: bytes, lines: psql_scanner.Lines | None) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """What is sent of the file, and where in the file its pieces come from."""
    start = start_of(data)
    if lines is None or not (lines.gaps or lines.blanks):
        return data[start:], ((0, start),)
    view, sent, pieces, parts = memoryview(data), 0, [], []
    for gap_start, gap_end in (*lines.gaps, (len(data), len(data))):
        pieces.append((sent, start))
        parts.append(view[start:gap_start])
        sent, start = sent + gap_start - start, gap_end
    sql = b"".join(parts)
    return _blanked(sql, ((sent_offset(pieces, a), sent_offset(pieces, b)) for a, b in lines.blanks)), tuple(pieces)


def _blanked(sql: bytes, spans: Iterator[tuple[int, int]]) -> bytes:
    buffer = bytearray(sql)
    for start, end in spans:
        buffer[start:end] = b" " * (end - start)
    return bytes(buffer)


def _without_escapes(sql: bytes, lines: psql_scanner.Lines | None, pieces: tuple[tuple[int, int], ...]) -> bytes:
    """The text for the parser, which knows standard_conforming_strings only as on: letters in place of the escapes."""
    if not lines or not lines.escaped:
        return sql
    view = bytearray(sql)
    for start, end in ((sent_offset(pieces, a), sent_offset(pieces, b)) for a, b in lines.escaped):
        view[start:end] = re.sub(rb"\\([\x00-\x7f]?)", lambda escape: b"x" * len(escape[0]), view[start:end])
    return bytes(view)


def _split(sql: bytes) -> list[tuple[int, int]] | None:
    """The spans of the statements, or None if the parser can't read the text.

    Not postgast.split: it gives copies without their offsets, and a tree in Python would take a hundred times as long.
    """
    result = lib.pg_query_split_with_parser(sql)
    try:
        if result.error:
            return None
        statements = (result.stmts[i].contents for i in range(result.n_stmts))
        return [(part.stmt_location, part.stmt_location + part.stmt_len) for part in statements]
    finally:
        lib.pg_query_free_split_result(result)


def _statement(
    sql: bytes, start: int, end: int, pieces: tuple[tuple[int, int], ...], copies: dict[int, tuple[int, int]]
) -> Statement:
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
