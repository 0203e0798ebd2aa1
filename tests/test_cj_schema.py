"""The CJ database as its migrations leave it: what a client of its tables relies on."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import errors, sql

MIGRATIONS = Path(__file__).parents[1] / "sql" / "migrations"
IDS = sorted(path.stem for path in MIGRATIONS.glob("*.sql") if not path.stem.endswith(".rollback"))

Connection = psycopg.Connection[tuple[Any, ...]]


class MigrationDb(Protocol):
    """A database migrated to just before one migration."""

    conn: Connection
    url: str

    def apply(self) -> None: ...
    def rollback(self) -> None: ...


class Result(Protocol):
    """What a run of the command line left."""

    code: int
    out: str
    err: str


BeforeMigration = Callable[[str], MigrationDb]
Run = Callable[..., Result]


def rows(conn: Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    return conn.execute(query.encode(), values or None).fetchall()


def one(conn: Connection, query: str, *values: object) -> Any:
    ((value,),) = rows(conn, query, *values)
    return value


def insert(conn: Connection, table: str, key: str, values: dict[str, object]) -> int:
    """Insert one row; what it has as `key`."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
        sql.Identifier("public", table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
        sql.Identifier(key),
    )
    ((value,),) = conn.execute(statement, list(values.values())).fetchall()
    assert isinstance(value, int)
    return value


def insert_upload(conn: Connection, **values: object) -> int:
    """A batch as a client sends it, with these values besides; its id."""
    sent = {
        "bos_batch_id": "bos-1",
        "event_correlation_id": "corr-1",
        "language": "sv",
        "course_code": "ENG5",
        "expected_essay_count": 20,
    }
    return insert(conn, "cj_batch_uploads", "id", sent | values)


def insert_state(conn: Connection, **values: object) -> int:
    """A state with these values, on an upload of its own where none is given; its batch_id."""
    if "batch_id" not in values:
        values["batch_id"] = insert_upload(conn)
    return insert(conn, "cj_batch_states", "batch_id", values)


def last_activity_at(conn: Connection, batch_id: int) -> datetime:
    value = one(conn, "SELECT last_activity_at FROM cj_batch_states WHERE batch_id = %s", batch_id)
    assert isinstance(value, datetime)
    return value


# --- the catalog ---

# name, type, length, nullable, default
UPLOADS = [
    ("id", "int4", None, "NO", None),
    ("bos_batch_id", "varchar", 36, "NO", None),
    ("event_correlation_id", "varchar", 36, "NO", None),
    ("language", "varchar", 10, "NO", None),
    ("course_code", "varchar", 50, "NO", None),
    ("expected_essay_count", "int4", None, "NO", None),
    ("status", "cj_batch_status_enum", None, "NO", "'PENDING'::cj_batch_status_enum"),
    ("created_at", "timestamp", None, "NO", "now()"),
    ("updated_at", "timestamp", None, "NO", "now()"),
    ("completed_at", "timestamp", None, "YES", None),
    ("processing_metadata", "json", None, "YES", None),
    ("assignment_id", "varchar", 100, "YES", None),
    ("user_id", "varchar", 255, "YES", None),
    ("org_id", "varchar", 255, "YES", None),
]
STATES = [
    ("batch_id", "int4", None, "NO", None),
    ("state", "cj_batch_state_enum", None, "NO", "'INITIALIZING'::cj_batch_state_enum"),
    ("total_comparisons", "int4", None, "NO", "0"),
    ("submitted_comparisons", "int4", None, "NO", "0"),
    ("completed_comparisons", "int4", None, "NO", "0"),
    ("failed_comparisons", "int4", None, "NO", "0"),
    ("last_activity_at", "timestamptz", None, "NO", "now()"),
    ("partial_scoring_triggered", "bool", None, "NO", "false"),
    ("completion_threshold_pct", "int4", None, "NO", "95"),
    ("current_iteration", "int4", None, "NO", "0"),
    ("processing_metadata", "json", None, "YES", None),
    ("total_budget", "int4", None, "YES", None),
]
STATES_BEFORE_TOTAL_BUDGET = [
    ("current_iteration", "int4", None, "NO", "1") if column[0] == "current_iteration" else column
    for column in STATES
    if column[0] != "total_budget"
]


def columns(conn: Connection, table: str) -> list[tuple[Any, ...]]:
    return rows(
        conn,
        "SELECT column_name, udt_name, character_maximum_length, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
        table,
    )


@pytest.mark.parametrize(("table", "expected"), [("cj_batch_uploads", UPLOADS), ("cj_batch_states", STATES)])
def test_columns_have_their_types_nullability_and_defaults(
    migrated_db: Connection, table: str, expected: Sequence[tuple[Any, ...]]
) -> None:
    assert columns(migrated_db, table) == expected


def test_id_is_an_identity_that_also_takes_a_given_value(migrated_db: Connection) -> None:
    assert rows(
        migrated_db,
        "SELECT column_name, identity_generation FROM information_schema.columns"
        " WHERE table_name LIKE 'cj\\_%%' AND is_identity = %s",
        "YES",
    ) == [("id", "BY DEFAULT")]
    batch_id = insert_upload(migrated_db, id=4711)
    assert batch_id == 4711


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "cj_batch_status_enum",
            [
                "PENDING",
                "FETCHING_CONTENT",
                "PERFORMING_COMPARISONS",
                "COMPLETE_STABLE",
                "COMPLETE_MAX_COMPARISONS",
                "COMPLETE_INSUFFICIENT_ESSAYS",
                "ERROR_PROCESSING",
                "ERROR_ESSAY_PROCESSING",
            ],
        ),
        (
            "cj_batch_state_enum",
            [
                "INITIALIZING",
                "GENERATING_PAIRS",
                "WAITING_CALLBACKS",
                "SCORING",
                "COMPLETED",
                "FAILED",
                "CANCELLED",
            ],
        ),
    ],
)
def test_enum_labels_stand_in_their_order(migrated_db: Connection, name: str, labels: list[str]) -> None:
    found = rows(
        migrated_db, "SELECT enumlabel FROM pg_enum WHERE enumtypid = %s::regtype ORDER BY enumsortorder", name
    )
    assert [label for (label,) in found] == labels


@pytest.mark.parametrize("word", ["processing", "pending", "PROCESSING", ""])
def test_wrong_status_word_is_refused(migrated_db: Connection, word: str) -> None:
    insert_upload(migrated_db)
    with pytest.raises(errors.InvalidTextRepresentation):
        migrated_db.execute("UPDATE cj_batch_uploads SET status = %s", [word])


@pytest.mark.parametrize("word", ["processing", "pending", "PENDING", "completed"])
def test_wrong_state_word_is_refused(migrated_db: Connection, word: str) -> None:
    insert_state(migrated_db)
    with pytest.raises(errors.InvalidTextRepresentation):
        migrated_db.execute("UPDATE cj_batch_states SET state = %s", [word])


def test_keys_and_checks_are_these_alone(migrated_db: Connection) -> None:
    # information_schema counts NOT NULL among the checks; pg_constraint tells them apart.
    assert rows(
        migrated_db,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid::regclass::text LIKE 'cj\\_%' AND contype <> 'n' ORDER BY conname",
    ) == [
        (
            "cj_batch_states_batch_id_fkey",
            "FOREIGN KEY (batch_id) REFERENCES cj_batch_uploads(id) ON DELETE CASCADE",
        ),
        ("cj_batch_states_pkey", "PRIMARY KEY (batch_id)"),
        ("cj_batch_uploads_pkey", "PRIMARY KEY (id)"),
    ]


def test_indexes_are_these_alone(migrated_db: Connection) -> None:
    found = rows(migrated_db, "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'cj\\_%' ORDER BY 1")
    assert found == [
        (name, f"CREATE {unique}INDEX {name} ON public.{table} USING btree ({column})")
        for name, unique, table, column in [
            ("cj_batch_states_pkey", "UNIQUE ", "cj_batch_states", "batch_id"),
            ("cj_batch_uploads_pkey", "UNIQUE ", "cj_batch_uploads", "id"),
            ("ix_cj_batch_states_state", "", "cj_batch_states", "state"),
            ("ix_cj_batch_uploads_bos_batch_id", "", "cj_batch_uploads", "bos_batch_id"),
            ("ix_cj_batch_uploads_org_id", "", "cj_batch_uploads", "org_id"),
            ("ix_cj_batch_uploads_status", "", "cj_batch_uploads", "status"),
            ("ix_cj_batch_uploads_user_id", "", "cj_batch_uploads", "user_id"),
        ]
    ]


def test_each_table_has_one_trigger_before_insert_and_update_of_each_row(migrated_db: Connection) -> None:
    assert rows(
        migrated_db,
        "SELECT event_object_table, event_manipulation, action_timing, action_orientation, action_statement"
        " FROM information_schema.triggers WHERE event_object_table LIKE 'cj\\_%' ORDER BY 1, 2",
    ) == [
        (table, event, "BEFORE", "ROW", f"EXECUTE FUNCTION {function}()")
        for table, function in [
            ("cj_batch_states", "cj_batch_states_set_last_activity_at"),
            ("cj_batch_uploads", "cj_batch_uploads_set_timestamps"),
        ]
        for event in ("INSERT", "UPDATE")
    ]


def test_tables_types_and_columns_have_comments_unless_the_name_says_it(migrated_db: Connection) -> None:
    assert rows(
        migrated_db,
        """
        SELECT relname::text FROM pg_class
        WHERE relname LIKE 'cj\\_%' AND relkind = 'r' AND obj_description(oid, 'pg_class') IS NULL
        UNION ALL
        SELECT typname FROM pg_type
        WHERE typname LIKE 'cj\\_%' AND typtype = 'e' AND obj_description(oid, 'pg_type') IS NULL
        UNION ALL
        SELECT attrelid::regclass || '.' || attname FROM pg_attribute
        WHERE attrelid IN ('cj_batch_uploads'::regclass, 'cj_batch_states'::regclass)
            AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
        ORDER BY 1
        """,
    ) == [
        ("cj_batch_states.state",),
        ("cj_batch_uploads.course_code",),
        ("cj_batch_uploads.expected_essay_count",),
        ("cj_batch_uploads.id",),
        ("cj_batch_uploads.language",),
        ("cj_batch_uploads.status",),
    ]


# --- the whole way up ---


def test_migration_upgrade_from_clean_database(run: Run, database: str) -> None:
    result = run("apply", "--database", database, "--migrations", MIGRATIONS)
    assert (result.code, result.err) == (0, "")
    with psycopg.connect(database) as conn:
        assert columns(conn, "cj_batch_uploads") == UPLOADS
        assert columns(conn, "cj_batch_states") == STATES
        assert [migration for (migration,) in rows(conn, "SELECT migration_id FROM _yoyo_migration ORDER BY 1")] == IDS


def test_migration_idempotency(run: Run, database: str) -> None:
    assert run("apply", "--database", database, "--migrations", MIGRATIONS).code == 0
    with psycopg.connect(database) as conn:
        insert_state(conn, total_comparisons=7)
    before = everything(database)
    second = run("apply", "--database", database, "--migrations", MIGRATIONS)
    assert (second.code, second.err) == (0, "")
    assert "nothing to do" in second.out.lower()
    assert everything(database) == before


def everything(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, the ledger's too, and of four catalogs, with the transaction that wrote it."""
    with psycopg.connect(database) as conn:
        tables = rows(
            conn,
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
            " AND table_schema NOT IN ('pg_catalog', 'information_schema')",
        )
        content = {
            f"{schema}.{table}": conn.execute(
                sql.SQL("SELECT t.xmin::text, t::text FROM {} AS t ORDER BY 1, 2").format(sql.Identifier(schema, table))
            ).fetchall()
            for schema, table in tables
        }
        for catalog in ("pg_class", "pg_proc", "pg_attrdef", "pg_enum"):
            content[catalog] = rows(conn, f"SELECT oid, xmin::text FROM {catalog} ORDER BY oid")
        return content


# --- uploads ---


def test_insert_of_all_columns_the_way_the_orm_does_returns_what_the_server_set(migrated_db: Connection) -> None:
    values = {
        "bos_batch_id": "a" * 36,
        "event_correlation_id": "b" * 36,
        "language": "sv",
        "course_code": "ENG5",
        "expected_essay_count": 20,
        "status": "FETCHING_CONTENT",
        "created_at": datetime(2001, 1, 1),
        "updated_at": datetime(2001, 1, 1),
        "completed_at": datetime(2002, 2, 2),
        "processing_metadata": '{"a": 1}',
        "assignment_id": "c" * 100,
        "user_id": "d" * 255,
        "org_id": None,
    }
    assert [*values] == [name for name, *_ in UPLOADS[1:]]
    casts = [f"%s::{kind}" for _, kind, *_ in UPLOADS[1:]]
    ((batch_id, created_at, updated_at, completed_at, now),) = rows(
        migrated_db,
        f"INSERT INTO cj_batch_uploads ({', '.join(values)}) VALUES ({', '.join(casts)})"
        " RETURNING id, created_at, updated_at, completed_at, localtimestamp",
        *values.values(),
    )
    assert batch_id == 1
    assert created_at == updated_at == now
    assert completed_at == datetime(2002, 2, 2)


def test_created_at_stays_and_updated_at_moves_whatever_a_client_sends(migrated_db: Connection) -> None:
    insert_upload(migrated_db)
    ((created_at, updated_at),) = rows(migrated_db, "SELECT created_at, updated_at FROM cj_batch_uploads")
    for change in (
        "language = 'en'",
        "language = language",
        "created_at = '2001-01-01', updated_at = '2001-01-01'",
        "created_at = NULL, updated_at = NULL",
        "created_at = 'infinity', updated_at = updated_at",
    ):
        ((created_then, updated_then),) = rows(
            migrated_db, f"UPDATE cj_batch_uploads SET {change} RETURNING created_at, updated_at"
        )
        assert created_then == created_at, change
        assert updated_at < updated_then < datetime.max, change
        updated_at = updated_then


def test_timestamps_without_zone_are_in_the_zone_of_the_session(migrated_db: Connection) -> None:
    migrated_db.execute("SET TIME ZONE 'Asia/Kathmandu'")
    insert_upload(migrated_db)
    assert one(migrated_db, "SELECT created_at = localtimestamp AND updated_at = localtimestamp FROM cj_batch_uploads")
    migrated_db.execute("SET TIME ZONE 'America/Lima'")
    assert one(
        migrated_db,
        "UPDATE cj_batch_uploads SET language = 'en' RETURNING updated_at = statement_timestamp()::timestamp",
    )
    assert one(migrated_db, "SELECT created_at = now() AT TIME ZONE 'Asia/Kathmandu' FROM cj_batch_uploads")


def test_upsert_keeps_created_at(migrated_db: Connection) -> None:
    batch_id = insert_upload(migrated_db)
    migrated_db.commit()
    created_at = one(migrated_db, "SELECT created_at FROM cj_batch_uploads")
    ((created_then, updated_then),) = rows(
        migrated_db,
        "INSERT INTO cj_batch_uploads"
        " (id, bos_batch_id, event_correlation_id, language, course_code, expected_essay_count)"
        " VALUES (%s, 'bos-2', 'corr-2', 'sv', 'ENG5', 20)"
        " ON CONFLICT (id) DO UPDATE SET bos_batch_id = excluded.bos_batch_id, created_at = excluded.created_at"
        " RETURNING created_at, updated_at",
        batch_id,
    )
    assert created_then == created_at < updated_then


# --- states ---


def test_state_row_with_nothing_but_its_batch_has_the_defaults(migrated_db: Connection) -> None:
    batch_id = insert_state(migrated_db)
    assert rows(
        migrated_db,
        "SELECT batch_id, state, total_comparisons, submitted_comparisons, completed_comparisons, failed_comparisons,"
        " last_activity_at = now(), partial_scoring_triggered, completion_threshold_pct, current_iteration,"
        " processing_metadata, total_budget FROM cj_batch_states",
    ) == [(batch_id, "INITIALIZING", 0, 0, 0, 0, True, False, 95, 0, None, None)]


def test_deleting_an_upload_deletes_its_state_and_no_other(migrated_db: Connection) -> None:
    gone, kept = insert_state(migrated_db), insert_state(migrated_db)
    migrated_db.execute("DELETE FROM cj_batch_uploads WHERE id = %s", [gone])
    assert rows(migrated_db, "SELECT batch_id FROM cj_batch_states") == [(kept,)]


def test_state_of_no_upload_is_refused(migrated_db: Connection) -> None:
    with pytest.raises(errors.ForeignKeyViolation):
        insert_state(migrated_db, batch_id=4711)


def test_second_state_of_one_upload_is_refused(migrated_db: Connection) -> None:
    batch_id = insert_state(migrated_db)
    with pytest.raises(errors.UniqueViolation):
        insert_state(migrated_db, batch_id=batch_id)


def test_last_activity_at_sent_with_an_insert_does_not_stick(migrated_db: Connection) -> None:
    batch_id = insert_state(migrated_db, last_activity_at="2001-01-01Z")
    assert last_activity_at(migrated_db, batch_id) == one(migrated_db, "SELECT now()")


# Each begins at a row with total_comparisons 7 and no total_budget.
@pytest.mark.parametrize(
    "change",
    [
        "submitted_comparisons = 1",
        "state = state",
        "processing_metadata = '{}'",
        "last_activity_at = '2001-01-01Z'",
        "last_activity_at = NULL",
        "last_activity_at = last_activity_at",
        "total_budget = 8",
        "total_budget = NULL",
        "total_comparisons = 8",
        "total_comparisons = 8, total_budget = 8",
        "total_budget = total_comparisons, state = 'FAILED'",
        "total_budget = total_comparisons, processing_metadata = NULL",
        "total_budget = total_comparisons, processing_metadata = (processing_metadata::text || ' ')::json",
        "total_budget = total_comparisons, last_activity_at = '2001-01-01Z'",
    ],
)
def test_last_activity_at_moves_on_every_update(migrated_db: Connection, change: str) -> None:
    batch_id = insert_state(migrated_db, total_comparisons=7, processing_metadata='{"scores": [1, 2]}')
    before = last_activity_at(migrated_db, batch_id)
    migrated_db.execute(f"UPDATE cj_batch_states SET {change}".encode())
    assert last_activity_at(migrated_db, batch_id) > before


def test_last_activity_at_moves_when_a_total_budget_is_set_again(migrated_db: Connection) -> None:
    batch_id = insert_state(migrated_db, total_comparisons=7, total_budget=7)
    before = last_activity_at(migrated_db, batch_id)
    migrated_db.execute("UPDATE cj_batch_states SET total_budget = total_comparisons")
    assert last_activity_at(migrated_db, batch_id) > before


def test_all_rows_of_one_update_get_the_same_last_activity_at(migrated_db: Connection) -> None:
    for _ in range(3):
        insert_state(migrated_db)
    migrated_db.execute("UPDATE cj_batch_states SET state = 'SCORING'")
    assert one(migrated_db, "SELECT count(DISTINCT last_activity_at) FROM cj_batch_states") == 1


@pytest.mark.parametrize("search_path", ["''", "shadow, pg_catalog, public"])
def test_timestamps_do_not_depend_on_the_search_path_of_the_client(migrated_db: Connection, search_path: str) -> None:
    migrated_db.execute(
        """
        CREATE SCHEMA shadow;
        CREATE FUNCTION shadow.now() RETURNS timestamptz RETURN timestamptz '2001-01-01Z';
        CREATE FUNCTION shadow.statement_timestamp() RETURNS timestamptz RETURN timestamptz '2001-01-01Z';
        CREATE FUNCTION shadow.never(text, text) RETURNS boolean RETURN false;
        CREATE FUNCTION shadow.never(integer, integer) RETURNS boolean RETURN false;
        CREATE OPERATOR shadow.= (LEFTARG = text, RIGHTARG = text, FUNCTION = shadow.never);
        CREATE OPERATOR shadow.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = shadow.never);
        """
    )
    batch_id = insert_state(migrated_db, total_comparisons=7)
    migrated_db.commit()
    before = last_activity_at(migrated_db, batch_id)

    def as_client(act: Callable[[], object]) -> None:
        migrated_db.execute(f"SET search_path = {search_path}".encode())
        act()
        migrated_db.execute("RESET search_path")

    as_client(lambda: migrated_db.execute("UPDATE public.cj_batch_states SET total_budget = total_comparisons"))
    assert last_activity_at(migrated_db, batch_id) == before
    as_client(lambda: migrated_db.execute("UPDATE public.cj_batch_states SET total_budget = 8"))
    assert last_activity_at(migrated_db, batch_id) > before
    as_client(lambda: migrated_db.execute("UPDATE public.cj_batch_uploads SET language = 'en'"))
    assert one(migrated_db, "SELECT updated_at > localtimestamp AND created_at < localtimestamp FROM cj_batch_uploads")
    as_client(lambda: insert_state(migrated_db))
    assert one(migrated_db, "SELECT count(*) FROM cj_batch_states WHERE last_activity_at = now()") == 1
    assert one(migrated_db, "SELECT count(*) FROM cj_batch_uploads WHERE created_at = localtimestamp") == 1


# --- total_budget and current_iteration ---


@pytest.mark.parametrize("budget", [0, 1, 350, 2**31 - 1, -(2**31)])
def test_total_budget_accepts_integer_values(migrated_db: Connection, budget: int) -> None:
    insert_state(migrated_db, total_budget=budget)
    assert one(migrated_db, "SELECT total_budget FROM cj_batch_states") == budget


def test_total_budget_refuses_what_is_no_integer(migrated_db: Connection) -> None:
    with pytest.raises(errors.NumericValueOutOfRange):
        insert_state(migrated_db, total_budget=2**31)
    migrated_db.rollback()
    with pytest.raises(errors.InvalidTextRepresentation):
        insert_state(migrated_db, total_budget="many")


def test_total_budget_nullable_for_backwards_compatibility(migrated_db: Connection) -> None:
    insert_state(migrated_db, total_comparisons=7)
    migrated_db.execute("UPDATE cj_batch_states SET submitted_comparisons = 1")
    insert_state(migrated_db, total_budget=None)
    assert rows(migrated_db, "SELECT total_budget FROM cj_batch_states") == [(None,), (None,)]


def test_current_iteration_defaults_to_zero(migrated_db: Connection) -> None:
    insert_state(migrated_db)
    assert one(migrated_db, "SELECT current_iteration FROM cj_batch_states") == 0


def test_before_0004_current_iteration_defaults_to_one(migration_db: BeforeMigration) -> None:
    conn = migration_db("0004_add_total_budget").conn
    assert columns(conn, "cj_batch_states") == STATES_BEFORE_TOTAL_BUDGET
    insert_state(conn)
    assert one(conn, "SELECT current_iteration FROM cj_batch_states") == 1


def test_adding_total_budget_leaves_the_rows_as_they_were(migration_db: BeforeMigration) -> None:
    db = migration_db("0004_add_total_budget")
    insert_state(db.conn, total_comparisons=7)
    before = states(db.conn)
    db.apply()
    assert states(db.conn) == before
    assert rows(db.conn, "SELECT current_iteration, total_budget FROM cj_batch_states") == [(1, None)]


def test_rolling_back_total_budget_restores_default_trigger_and_rows(migration_db: BeforeMigration) -> None:
    db = migration_db("0004_add_total_budget")
    insert_state(db.conn, total_comparisons=7)
    before, function_before = states(db.conn), trigger_function(db.conn)
    db.apply()
    assert trigger_function(db.conn) != function_before
    db.rollback()
    assert columns(db.conn, "cj_batch_states") == STATES_BEFORE_TOTAL_BUDGET
    assert (states(db.conn), trigger_function(db.conn)) == (before, function_before)
    batch_id = insert_state(db.conn)
    assert one(db.conn, "SELECT current_iteration FROM cj_batch_states WHERE batch_id = %s", batch_id) == 1
    earlier = last_activity_at(db.conn, batch_id)
    db.conn.execute("UPDATE cj_batch_states SET state = 'SCORING'")
    assert last_activity_at(db.conn, batch_id) > earlier


def trigger_function(conn: Connection) -> Any:
    return one(conn, "SELECT pg_get_functiondef('cj_batch_states_set_last_activity_at'::regproc)")


def states(conn: Connection) -> dict[int, str]:
    """By batch_id, every column from before total_budget as the server prints it, json byte for byte."""
    names = ", ".join(name for name, *_ in STATES_BEFORE_TOTAL_BUDGET)
    return dict(rows(conn, f"SELECT batch_id, row({names})::text FROM cj_batch_states"))


# --- the backfill ---

BACKFILL = "0005_backfill_total_budget"
# json keeps blanks, the order of keys and doubled ones; the long one is stored out of line.
JSON = ['{"b" : 1,  "a":null, "b":2}', "null", "[ ]", '{"long": "' + "".join(map(str, range(9000))) + '"}', None]


def insert_old_states(conn: Connection, count: int) -> None:
    """`count` rows as an older client writes them: total_comparisons 0, 2**31 - 1 and 2 to `count` - 1."""
    conn.execute(
        "INSERT INTO cj_batch_uploads (bos_batch_id, event_correlation_id, language, course_code, expected_essay_count)"
        " SELECT 'bos-' || n, 'corr-' || n, 'sv', 'ENG5', 20 FROM generate_series(1, %s) AS n",
        [count],
    )
    conn.execute(
        "INSERT INTO cj_batch_states (batch_id, state, total_comparisons, submitted_comparisons, completed_comparisons,"
        " failed_comparisons, partial_scoring_triggered, completion_threshold_pct, current_iteration,"
        " processing_metadata)"
        " SELECT id, (enum_range(NULL::cj_batch_state_enum))[1 + id %% 7],"
        " CASE id WHEN 1 THEN 0 WHEN 2 THEN 2147483647 ELSE id - 1 END, id %% 5, id %% 3, id %% 2,"
        " id %% 2 = 0, id %% 101, id %% 4, CASE WHEN id <= 500 THEN (%s::json[])[1 + id %% 5] END"
        " FROM cj_batch_uploads",
        [JSON],
    )
    # Times that differ from row to row, and lie before the backfill.
    conn.execute("UPDATE cj_batch_states SET failed_comparisons = 4 WHERE batch_id % 3 = 0")


def test_total_budget_backfill_for_existing_rows(migration_db: BeforeMigration) -> None:
    db = migration_db(BACKFILL)
    insert_old_states(db.conn, 10_000)
    db.conn.execute("UPDATE cj_batch_states SET total_budget = 0 WHERE batch_id = 11")
    db.conn.execute("UPDATE cj_batch_states SET total_budget = 2147483647 WHERE batch_id = 12")
    db.conn.execute("UPDATE cj_batch_states SET total_budget = -1, total_comparisons = 0 WHERE batch_id = 13")
    before = states(db.conn)

    db.apply()

    assert states(db.conn) == before
    found = dict(rows(db.conn, "SELECT batch_id, total_budget FROM cj_batch_states"))
    expected = {batch_id: batch_id - 1 for batch_id in range(1, 10_001)}
    assert found == expected | {1: 0, 2: 2**31 - 1, 11: 0, 12: 2**31 - 1, 13: -1}


def test_rows_from_before_total_budget_get_it_from_the_plain_file(migration_db: BeforeMigration) -> None:
    db = migration_db("0004_add_total_budget")
    insert_old_states(db.conn, 700)
    before = states(db.conn)
    db.apply()
    db.conn.execute((MIGRATIONS / f"{BACKFILL}.sql").read_bytes())
    assert states(db.conn) == before
    assert one(db.conn, "SELECT bool_and(total_budget = total_comparisons) FROM cj_batch_states") is True


def test_backfill_needs_no_superuser(migrated_db: Connection) -> None:
    insert_old_states(migrated_db, 50)
    before = states(migrated_db)
    if one(migrated_db, "SELECT current_setting('is_superuser')") == "on":
        # Never committed, so nobody else on the server ever sees this role.
        migrated_db.execute("CREATE ROLE pgyoyo_test_backfill")
        migrated_db.execute("GRANT SELECT, UPDATE ON cj_batch_states TO pgyoyo_test_backfill")
        migrated_db.execute("SET LOCAL ROLE pgyoyo_test_backfill")
    migrated_db.execute((MIGRATIONS / f"{BACKFILL}.sql").read_bytes())
    assert states(migrated_db) == before
    assert one(migrated_db, "SELECT bool_and(total_budget = total_comparisons) FROM cj_batch_states") is True


def test_backfill_does_not_store_long_json_once_more(migration_db: BeforeMigration) -> None:
    db = migration_db(BACKFILL)
    insert_old_states(db.conn, 500)
    out_of_line = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'cj_batch_states'"
    before = one(db.conn, out_of_line)
    assert before > 500_000
    db.apply()
    assert one(db.conn, out_of_line) == before


def test_running_the_backfill_again_changes_no_row(migration_db: BeforeMigration) -> None:
    db = migration_db(BACKFILL)
    insert_old_states(db.conn, 10)
    db.apply()
    versions = rows(db.conn, "SELECT ctid::text, xmin::text FROM cj_batch_states ORDER BY batch_id")
    db.conn.execute((MIGRATIONS / f"{BACKFILL}.sql").read_bytes())
    assert rows(db.conn, "SELECT ctid::text, xmin::text FROM cj_batch_states ORDER BY batch_id") == versions


def test_rolling_back_the_backfill_leaves_the_rows_their_budget(migration_db: BeforeMigration) -> None:
    db = migration_db(BACKFILL)
    insert_old_states(db.conn, 10)
    before = states(db.conn)
    db.apply()
    db.rollback()
    assert states(db.conn) == before
    assert one(db.conn, "SELECT count(*) FROM cj_batch_states WHERE total_budget = total_comparisons") == 10
