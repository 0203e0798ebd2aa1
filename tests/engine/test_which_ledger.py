from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import Connection

from killing import until
from pgyoyo.engine import ledger, ledger_tables, records, which_ledger
from pgyoyo.engine.entry import Entry

# What stands in the way of the shorter question, with whether the long one refuses it, too.
FAULTS = {
    "ALTER TABLE _yoyo_log OWNER TO pg_monitor": True,
    "CREATE TRIGGER t BEFORE INSERT ON yoyo_lock EXECUTE FUNCTION suppress_redundant_updates_trigger()": True,
    "CREATE RULE r AS ON INSERT TO _pgyoyo_journal DO INSTEAD NOTHING": True,
    "ALTER TABLE _yoyo_migration FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY": False,
    "ALTER TABLE _yoyo_version RENAME TO gone; CREATE VIEW _yoyo_version AS SELECT * FROM gone": True,
}


def chosen(conn: Connection, *, alone: bool = False) -> str:
    row = conn.execute(which_ledger.choose_plain(conn, "public", alone=alone).encode()).fetchone()
    assert row
    return str(row[0])


def test_only_a_ledger_as_a_run_left_it_is_taken_without_a_second_look(conn: Connection) -> None:
    ledger_tables.make(conn, "public")
    assert chosen(conn, alone=True) == "public, pg_temp"
    for fault, is_refused in FAULTS.items():
        with conn.transaction(force_rollback=True):
            conn.execute(fault.encode())
            assert chosen(conn) == "pg_catalog, pg_temp", fault
            assert any(table.fault for table in which_ledger._ask(conn, "which_counts", "public")) == is_refused, fault
    conn.execute("CREATE SCHEMA b; CREATE TABLE b._yoyo_migration ()")
    assert (chosen(conn), chosen(conn, alone=True)) == ("public, pg_temp", "pg_catalog, pg_temp")


def test_members_of_the_owner_and_no_others_take_its_ledger_without_a_second_look(conn: Connection) -> None:
    ledger_tables.make(conn, "public")
    for name in ledger_tables_of(conn):
        conn.execute(f"ALTER TABLE {name} OWNER TO pg_read_all_stats".encode())
    # pg_monitor is a member of the owner; the superuser only counts as one.
    for role, is_plain in (("pg_monitor", True), ("pg_signal_backend", False), ("none", False)):
        conn.execute(f"SET ROLE {role}".encode())
        assert which_ledger.is_plain(conn, "public") == is_plain, role


def ledger_tables_of(conn: Connection) -> list[str]:
    rows = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [name for (name,) in rows]


def test_entry_takes_the_row_and_reads_what_the_long_way_reads(conn: Connection, database: str) -> None:
    ledger_tables.make(conn, "public")
    conn.execute("INSERT INTO _yoyo_migration VALUES ('b', 'late', '2026-01-02'), ('a', 'early', '-infinity')")
    entry = Entry(conn, "public")
    assert entry.attempt()
    assert entry.ledger == ledger.read(conn)
    assert [row.id for row in entry.ledger.applied] == ["early", "late"]
    guarded = records.guarded(conn, "public")
    assert entry.guarded
    assert (entry.guarded.counted, sorted(entry.guarded.intact)) == (guarded.counted, sorted(guarded.intact))
    assert entry.guarded.sign == guarded.sign
    assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)
    assert conn.execute("UPDATE yoyo_lock SET pid = 7 RETURNING 1").fetchall() == [(1,)]
    with psycopg.connect(database, autocommit=True) as second:
        entry = Entry(second, "public")
        assert (entry.attempt(), entry.ledger) == (False, None)
    conn.execute("DROP TABLE yoyo_lock")
    assert not Entry(conn, "public").attempt()


def test_entry_reads_what_was_committed_while_it_waited(conn: Connection, database: str) -> None:
    ledger_tables.make(conn, "public")
    conn.execute("INSERT INTO yoyo_lock (pid) VALUES (7); SET default_transaction_isolation = 'repeatable read'")
    entry = Entry(conn, "public")
    with psycopg.connect(database) as yoyo:
        yoyo.execute("DELETE FROM yoyo_lock; INSERT INTO _yoyo_migration VALUES ('a', 'first', now())")
        yoyo.commit()
        yoyo.execute(
            "INSERT INTO yoyo_lock (pid) VALUES (-7); INSERT INTO _yoyo_migration VALUES ('b', 'second', now())"
        )
        with ThreadPoolExecutor() as threads:
            attempt = threads.submit(entry.attempt)
            waits = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            until(lambda: attempt.done() or yoyo.execute(waits).fetchone() is not None)
            yoyo.commit()
            assert attempt.result()
    assert entry.ledger
    assert [row.id for row in entry.ledger.applied] == ["first", "second"]
