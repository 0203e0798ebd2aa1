"""Our own statements are safe under any search_path: whatever stands in front of pg_catalog, only pg_catalog's is called."""

import ast
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from postgast import PgQueryError
from postgast.pg_query_pb2 import SubLinkType
from psycopg import errors

import hostile
from pgyoyo.backfill import tables as backfill_tables
from pgyoyo.catalog import rows, snapshot
from pgyoyo.console import Console
from pgyoyo.engine import blockers, ledger, ledger_tables, lock, records, which_ledger
from pgyoyo.errors import LockedError
from pgyoyo.queries import named
from pgyoyo.review import observation, target
from pgyoyo.scratch import databases, defaults, row_maker, samples, shared
from pgyoyo.sql import tree
from pgyoyo.testing.clones import Clones

FILES = {
    "0001_t": ("CREATE TABLE app.t (i integer, v integer);", "DROP TABLE app.t;"),
    "0002_index": (
        "-- transactional: false\nCREATE INDEX CONCURRENTLY t_i ON app.t (i);\nCOMMENT ON TABLE app.t IS 'T';",
        "-- transactional: false\nCOMMENT ON TABLE app.t IS NULL;\nDROP INDEX CONCURRENTLY app.t_i;",
    ),
    "0003_fill": (
        "INSERT INTO app.t SELECT g FROM pg_catalog.generate_series(1, 20000) AS g;",
        "TRUNCATE app.t;",
    ),
    "0004_backfill": ("-- backfill: batched\nUPDATE app.t SET v = 1 WHERE v IS NULL;", "-- irreversible: rows keep v"),
}
# One row is not inserted, so that it is shown as one that is left.
MORE_FILES = {
    "0005_u": """CREATE TABLE app.u (id integer PRIMARY KEY, v integer);
        CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF pg_catalog.int4eq(NEW.id, 7) THEN RETURN NULL; END IF; RETURN NEW; END $$;
        CREATE TRIGGER f BEFORE INSERT OR UPDATE ON app.u FOR EACH ROW WHEN (pg_catalog.int4gt(NEW.id, 0))
        EXECUTE FUNCTION app.f();""",
    "0006_backfills": """-- backfill: batched
        INSERT INTO app.u (id) SELECT i FROM app.t WHERE i OPERATOR(pg_catalog.<) 100 ON CONFLICT (id) DO NOTHING;
        UPDATE app.u SET v = id WHERE v IS NULL;
        DELETE FROM app.u WHERE id OPERATOR(pg_catalog.<) 50;""",
}


@pytest.fixture
def evil(conn: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A session beside; at the end nothing of the hostile schema was called."""
    hostile.shadow(conn)
    yield conn
    assert hostile.calls(conn) == 0


@pytest.fixture
def victim(evil: psycopg.Connection, database: str) -> Iterator[psycopg.Connection]:
    """A session whose search_path begins with the hostile schema, as a superuser's would."""
    with psycopg.connect(database, autocommit=True) as conn:
        assert conn.execute("SHOW search_path").fetchone() == (hostile.PATH,)
        yield conn


@pytest.fixture
def pgyoyo(evil: psycopg.Connection, database: str, tmp_path: Path, run_here) -> Callable[..., str]:
    """Runs a command on the database; its output."""
    folder = tmp_path / "sql"
    folder.mkdir()
    for name, (apply, rollback) in FILES.items():
        (folder / f"{name}.sql").write_text(apply + "\n")
        (folder / f"{name}.rollback.sql").write_text(rollback + "\n")

    def pgyoyo(*words: str, code: int = 0) -> str:
        result = run_here(*words, "--database", database, "--migrations", folder)
        assert result.code == code, result.err
        assert hostile.calls(evil) == 0, words
        return result.out

    return pgyoyo


def test_the_hostile_schema_is_called_by_a_statement_that_is_not_safe(conn: psycopg.Connection, database: str) -> None:
    """The control of the tests below."""
    hostile.shadow(conn)
    unsafe = (
        "SELECT 'a'::varchar = 'b'::varchar",
        "SELECT current_user = session_user",
        "SELECT now()",
        "SELECT 1 + 1",
        "SELECT quote_ident('a')",
        "SELECT 'a'::text",
        "SELECT * FROM pg_class",
        "SELECT pg_catalog.pg_backend_pid() IN (2, 3)",
        "SELECT nullif(1, 2)",
        "SELECT -pg_catalog.pg_backend_pid()",
        "SELECT to_regclass('a')",
    )
    with psycopg.connect(database, autocommit=True) as victim:
        for number, query in enumerate(unsafe, start=1):
            with pytest.raises(errors.RaiseException, match="was called"):
                pytest.fail(f"{query} gives {victim.execute(query.encode()).fetchall()}")
            assert hostile.calls(conn) == number, query
        for query in ("SELECT count(*) FROM pg_catalog.pg_class", "SELECT max(oid) FROM pg_catalog.pg_class"):
            with pytest.raises((errors.RaiseException, errors.WrongObjectType)):
                victim.execute(query.encode())


def test_no_command_calls_anything_of_a_hostile_schema(
    pgyoyo: Callable[..., str], evil: psycopg.Connection, database: str, tmp_path: Path
) -> None:
    pgyoyo("status")
    assert "BEGIN" in pgyoyo("apply", "--dry-run")
    assert "4 applied, none pending" in pgyoyo("apply")
    assert "nothing to do" in pgyoyo("apply")
    assert "0001_t" in pgyoyo("status", "--format", "json")
    pgyoyo("unmark", "4")
    pgyoyo("mark", "4")
    pgyoyo("unmark", "4")
    pgyoyo("apply")
    pgyoyo("rollback", code=1)
    pgyoyo("unmark", "4")
    pgyoyo("redo", "--count", "2")
    pgyoyo("rollback", "--all", "--dry-run")
    edited = tmp_path / "sql" / "0001_t.sql"
    edited.write_text(edited.read_text() + "-- edited\n")
    pgyoyo("apply", code=4)
    pgyoyo("repair", "1")
    pgyoyo("rollback", "--all", "--yes")
    pgyoyo("apply", "--single-transaction", "--to", "1")
    assert evil.execute("SELECT count(*) FROM app._yoyo_migration").fetchone() == (1,)

    for name, text in MORE_FILES.items():
        (tmp_path / "sql" / f"{name}.sql").write_text(text)
        (tmp_path / "sql" / f"{name}.rollback.sql").write_text("-- irreversible: a test")
    evil.execute(
        """CREATE TABLE app.schema_migrations (version bigint, dirty boolean);
           CREATE TABLE app.goose_db_version (id integer, version_id bigint, is_applied boolean)"""
    )
    pgyoyo("doctor")
    pgyoyo("apply")
    assert evil.execute("SELECT count(*), min(id), sum(v - id) FROM app.u").fetchone() == (50, 50, 0)
    pgyoyo("sizes")
    pgyoyo("fleet", "status", "--schemas", "app")
    pgyoyo("fleet", "apply", "--schemas", "app")


def test_an_interrupted_index_is_looked_up_safely(pgyoyo: Callable[..., str], evil: psycopg.Connection) -> None:
    pgyoyo("apply", "--to", "1")
    evil.execute("INSERT INTO app.t VALUES (1), (1)")
    folder_failure = "CREATE UNIQUE INDEX CONCURRENTLY t_i ON app.t (i)"
    with pytest.raises(errors.UniqueViolation):
        evil.execute(folder_failure)
    checksum = hashlib.sha256(b"CREATE INDEX CONCURRENTLY t_i ON app.t (i)").hexdigest()
    evil.execute(
        "INSERT INTO app._pgyoyo_journal (migration_hash, statement, migration_id, operation, checksum, state) "
        "VALUES (encode(sha256('0002_index'), 'hex'), 1, '0002_index', 'apply', %s, 'started')",
        [checksum],
    )
    assert "2 applied, 2 pending" in pgyoyo("apply", "--to", "2")


def test_waiting_for_a_lock_and_naming_its_holder_is_safe(
    evil: psycopg.Connection, victim: psycopg.Connection, database: str
) -> None:
    notes: list[str] = []
    with (
        lock.hold(evil, "app", wait=1.0, say=notes.append),
        pytest.raises(LockedError, match="locked by pid"),
        lock.hold(victim, "app", wait=0.1, say=notes.append),
    ):
        pass
    ledger_tables.ensure_lock_table(victim, "app")
    ledger_tables.ensure(victim, "app")
    with (
        lock.hold(victim, "app", wait=0.1, say=notes.append) as held,
        lock.row(victim, "app", held, wait=0.1, say=notes.append),
    ):
        assert evil.execute("SELECT count(*) FROM app.yoyo_lock").fetchone() == (1,)
    evil.execute("INSERT INTO app.yoyo_lock VALUES (1, now(), 42)")
    with (
        pytest.raises(LockedError, match="plain yoyo"),
        lock.row(victim, "app", lock.Held(), wait=0.1, say=notes.append),
    ):
        pass
    lock.sweep(victim, "app")
    assert lock.found_after_loss(database, "app", "x", notes.append) is False


def test_looking_who_is_in_the_way_is_safe(evil: psycopg.Connection, victim: psycopg.Connection, database: str) -> None:
    evil.execute("CREATE TABLE app.t (i integer)")
    evil.execute("BEGIN; LOCK TABLE app.t")
    pid = victim.info.backend_pid
    watcher = blockers.Watcher()
    watcher.begin(victim)
    victim.pgconn.send_query(b"LOCK TABLE app.t; SELECT 1")
    deadline = time.monotonic() + 30
    while not watcher.seen and time.monotonic() < deadline:
        watcher.look()
        time.sleep(0.02)
    assert watcher.seen[0].pid == evil.info.backend_pid
    watcher.close()
    evil.execute("ROLLBACK")
    while victim.pgconn.get_result():
        pass
    with psycopg.connect(database, autocommit=True) as asking:
        query = named(blockers._QUERIES)["blockers"]
        assert asking.execute(query.encode(), {"pid": pid}).fetchall() == []


def test_reading_catalog_and_rows_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute("CREATE TABLE app.t (i integer PRIMARY KEY, v text); INSERT INTO app.t VALUES (1, 'a')")
    evil.execute("CREATE TABLE app.big AS SELECT i FROM generate_series(1, 1001) AS i")
    assert ("table", "app.t") in snapshot.snapshot(victim)
    found = rows.rows(victim)
    assert [found[name].count for name in ("app.t", "app.big")] == [1, 1001]
    with victim.transaction():
        assert ("table", "app.t") in snapshot.snapshot(victim)


def test_reviewing_a_target_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute("CREATE TABLE app.t (i integer)")
    assert list(target.tables(victim, ["app.t", "app.none"])) == ["app.t"]
    target.activity(victim)


def test_reading_what_sessions_begin_with_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    assert defaults.read(victim, (), "app").stored["search_path"] == hostile.PATH


def test_making_sample_rows_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute(
        "CREATE TABLE app.t (i integer PRIMARY KEY, v text); CREATE TABLE app.u (t integer REFERENCES app.t, w date)"
    )
    # Integrity checks of the server's own look up the operator of the column's index.
    assert samples.fill(victim, {}).made == 2 * row_maker.ROWS
    evil.execute("ALTER TABLE app.u ADD COLUMN x text")
    assert samples.fill(victim, {}).notes == []
    assert evil.execute("SELECT count(x) FROM app.u").fetchone() == (row_maker.ROWS - 1,)


def test_comparing_what_databases_share_is_safe(evil: psycopg.Connection, database: str) -> None:
    with databases.server(database) as admin, shared.restored(admin, (), Console()):
        assert admin.info.dbname == evil.info.dbname


def test_making_databases_for_tests_is_safe(evil: psycopg.Connection, database: str, tmp_path: Path) -> None:
    clones = Clones(database, str(tmp_path))
    clones.discard(clones.clone("template0"))
    clones.close()


def test_observing_a_rehearsal_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute("CREATE TABLE app.t (i integer)")
    observation.between(victim)
    assert "app.t" in {entry.name for entry in observation.relations(victim).values()}
    observation.locks(victim, evil.info.backend_pid)
    for names in (None, ["t"]):
        assert victim.execute(named(observation.REHEARSAL)["tables_of"], {"names": names}).fetchall()


# Queries that not every version of the server has what they ask for.
OTHER_VERSIONS = {
    "may_skip_triggers": lambda version: version < 150000,
    "checkpoints": lambda version: version < 170000,
    "checkpoints_before_17": lambda version: version >= 170000,
}
VALUES = {
    "table": "app.t", "only": False, "columns": ["v"], "functions": ["lower"], "view": "app.v", "tables": [1], "oid": 1,
    "name": "t", "schema": "app", "event": 16, "rule": "2",
    "names": ["t"],
}  # fmt: skip


def test_queries_of_a_backfill_are_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    """Those that the backfill above has no need of; the ones that write it sends itself."""
    evil.execute("CREATE TABLE app.t (i integer, v text); CREATE VIEW app.v AS SELECT * FROM app.t")
    for name, query in backfill_tables.queries().items():
        if "{schema}" in query or OTHER_VERSIONS.get(name, lambda version: False)(victim.info.server_version):
            continue
        values = {key: VALUES.get(key) for key in re.findall(r"%\((\w+)\)s", query)}
        victim.execute(query.encode(), values or None)


def test_login_s_search_path_is_there_when_a_file_begins(
    evil: psycopg.Connection, pgyoyo: Callable[..., str], tmp_path: Path
) -> None:
    evil.execute("CREATE TABLE app.seen (path text)")
    text = "INSERT INTO app.seen VALUES (pg_catalog.current_setting('search_path'));\n"
    for number, header in ((5, ""), (6, "-- transactional: false\n")):
        (tmp_path / "sql" / f"000{number}_path.sql").write_text(header + text)
    pgyoyo("apply")
    assert evil.execute("SELECT * FROM app.seen").fetchall() == [(hostile.PATH,)] * 2


# --- Every statement, by its text. ---

PACKAGE = Path(ledger.__file__).parents[1]
# Sent where a caller sets the search_path first. A module that does so itself is seen by its text.
PINNED = ("catalog/catalog.sql", "catalog/changed.py", "catalog/changed.sql", "catalog/query.py", "catalog/rows.py",
          "catalog/sequences.sql", "catalog/sequences.py", "catalog/tables.sql", "review/filling.py",
          "scratch/present_roles.py", "scratch/shared.sql", "scratch/states.py", "testing/roles.py")  # fmt: skip
SETS_PATH = re.compile(r"search_path\W{1,4}pg_catalog")
# Parts of others, as they can be parsed; the ledger is read with nothing but its schema on the path.
LEDGER = f"WITH {', '.join(f'{name} AS (SELECT 1)' for name in (*records._COUNTED, *which_ledger.OWN))} {{}}"
WITHIN = {
    "which_counts": "WITH ledger AS (SELECT 1) {}", "which_present": "WITH ledger AS (SELECT 1) {}",
    "which_elsewhere": "WITH ledger AS (SELECT 1) {}", "configured": "SELECT {}", "here": "SELECT {}", "last": "SELECT {}",
    "time_kept": "SELECT {}", "time_of": "SELECT {}", "expect": "SELECT {}", "unchanged": "SELECT {}",
    "same": "SELECT FROM app.y WHERE true {}", "only": "SELECT FROM app.c WHERE true {}",
    "in_schema": "SELECT FROM app.c WHERE {}", "on_path": "SELECT FROM app.c AS path WHERE true {}",
    "alone": "SELECT {}", **dict.fromkeys((*ledger.READING, "read_backfills"), LEDGER), "stored": "SELECT WHERE true {}",
    "misfit": "SELECT {} FROM pg_catalog.pg_class AS c", "key": "SELECT {} FROM pg_catalog.pg_class AS c",
    "close": "SELECT FROM app.c WHERE true {}", "whole": "SELECT {}", "keep": "SELECT WHERE true {}", "kept": "SELECT {}",
    "rows": "SELECT 1 {}", "files": "SELECT 1 {}", "fires": "SELECT FROM app.t WHERE {}",
}  # fmt: skip


def statements() -> Iterator[tuple[str, str]]:
    """Every statement of the package, as far as it is written as one text, with where it stands."""
    for path in sorted(PACKAGE.rglob("*")):
        place = path.relative_to(PACKAGE).as_posix()
        module = path.with_suffix(".py")
        # That room sends nothing; the pairs, and what the room columns writes, are files of users.
        if (
            place.startswith(("sql/", "review/pairs/"))
            or (place.startswith("columns/") and path.suffix == ".py")
            or place in PINNED
            or (module.exists() and SETS_PATH.search(module.read_text()))
        ):
            continue
        if path.suffix == ".sql":
            for name, query in named(path).items():
                part = "ledger" in place or name == "fires"
                yield f"{place}: {name}", WITHIN.get(name, "{}").replace("{}", query) if part else query
        elif path.suffix == ".py":
            for line, text in texts_of(ast.parse(path.read_text())):
                # Some are only the beginning of a statement.
                if re.match(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\s", text) and is_whole(text):
                    yield f"{place}:{line}", text


def texts_of(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module, with {} for what is put into one."""
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        yield node.lineno, "".join(map(str, parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
    else:
        for below in ast.iter_child_nodes(node):
            yield from texts_of(below)


def parsable(text: str) -> str:
    """The statement with something in the place of each hole."""
    text = re.sub(r"\{chosen\}|\(\{tables\}\)", "(SELECT 1)", text).replace("{schema}.", "app.")
    text = re.sub(r"\b(FROM|INTO|UPDATE|ONLY) \{\w*\}(\.\w+)?", r"\1 app.x", text)
    text = (
        text.replace(" AS {})", " AS pg_catalog.text)")
        .replace("{same}", "")
        .replace("{part}", "")
        .replace("{keep}", "")
        .replace("{close}", "")
        .replace("{intact}", "SELECT 1")
        .replace("{only}", "")
        .replace(" SET {}", " SET x = NULL")
    )
    return re.sub(r"%\(\w+\)s|%s|\{\w*\}", "NULL", text).replace("%%", "%")


def is_whole(text: str) -> bool:
    try:
        tree.parse_tree(parsable(text))
    except PgQueryError:
        return False
    return True


def open_names(text: str) -> Iterator[str]:
    """The operators, functions, types and tables of a statement that the search_path finds."""
    nodes = [node for statement in tree.parse_tree(parsable(text)).stmts for node in tree.walk(statement.stmt)]
    known = {node.ctename for node in nodes if tree.kind(node) == "CommonTableExpr"}
    for node in nodes:
        match tree.kind(node):
            case "A_Expr":
                if len(node.name) < 2:
                    yield f"operator {node.name[0].string.sval} ({node.kind})"
            case "FuncCall":
                if len(node.funcname) < 2 and node.funcname[0].string.sval != "unnest":
                    yield f"function {node.funcname[0].string.sval}"
            case "TypeName":
                if len(node.names) < 2:
                    yield f"type {node.names[0].string.sval}"
            case "RangeVar":
                if not node.schemaname and node.relname not in known:
                    yield f"table {node.relname}"
            case "CaseExpr":
                if node.HasField("arg"):
                    yield "CASE with an operator of its own"
            case "SubLink":
                if node.sub_link_type in (SubLinkType.ALL_SUBLINK, SubLinkType.ANY_SUBLINK) and len(node.oper_name) < 2:
                    yield "IN or ANY with a subquery"


def test_no_statement_leaves_a_name_to_the_search_path() -> None:
    texts = dict(statements())
    assert len(texts) > 80
    found = {place: names for place, text in texts.items() if (names := sorted(set(open_names(text))))}
    assert found == {}


OPEN = [
    "SELECT 1 + 1",
    "SELECT lower('a')",
    "SELECT 'a'::text",
    "SELECT FROM pg_class",
    "SELECT nullif(1, 2)",
    "SELECT CASE 1 WHEN 2 THEN 3 END",
    "SELECT 1 IN (2)",
    "SELECT 1 IN (SELECT 2)",
    "SELECT 1 BETWEEN 2 AND 3",
    "SELECT 'a' LIKE 'b'",
    "SELECT 1 = ANY (SELECT 2)",
]


@pytest.mark.parametrize("text", OPEN)
def test_open_names_are_found(text: str) -> None:
    """The control of the test above."""
    assert list(open_names(text))
