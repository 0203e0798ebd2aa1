"""A history that goes up in several databases gives what it gives in one, and fails as it fails there."""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from conftest import Owner
from pgyoyo.catalog import query
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.console import Console
from pgyoyo.errors import MigrationError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.schema import rebuilt
from pgyoyo.schema.rebuilt import Made, Rebuilding
from pgyoyo.scratch import databases, noted, shared, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import Defaults

Rebuild = Callable[..., tuple[Snapshot, Made]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, admin: psycopg.Connection) -> Iterator[list[str]]:
    """The databases that migrations went up in; none of them is left in the end."""
    names: list[str] = []
    go = Rebuilding.go

    def noted(self: Rebuilding, scratch: ScratchDatabase) -> None:
        names.append(scratch.name)
        go(self, scratch)

    monkeypatch.setattr(Rebuilding, "go", noted)
    yield names
    assert admin.execute("SELECT datname FROM pg_database WHERE datname = ANY (%s)", [names]).fetchall() == []


@pytest.fixture
def rebuild(tmp_path: Path, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> Rebuild:
    """The catalog after the migrations of these texts, and what made it, from so many databases; each reads one at a time."""
    monkeypatch.setattr(rebuilt, "_BLOCK", 1)
    monkeypatch.setattr(states, "WORTH_A_STATE", 1000)

    def rebuild(count: int, texts: Sequence[str], hook: str = "") -> tuple[Snapshot, Made]:
        for number, text in enumerate(texts):
            (tmp_path / f"{number:02}_m.sql").write_text(text)
        if hook:
            (tmp_path / "post-apply.sql").write_text(hook)
        folders, start = reader.read([str(tmp_path)]), len(names)
        with (
            shared.restored(admin, folders.migrations, Console()),
            rebuilt.rebuilt(admin, folders, Console(), count=count) as (scratch, made),
        ):
            assert len(names) - start >= count
            return scratch.snapshot(), made

    return rebuild


def invented(chance: random.Random, length: int) -> list[str]:
    """Migrations that make, change, rename, comment, drop and make again what few names there are."""
    tables: dict[str, list[str]] = {}
    views: dict[str, str] = {}

    def drop(table: str) -> None:
        for view in [view for view, of in views.items() if of == table]:
            del views[view]

    def step() -> str:
        free = [name for name in "abcd" if name not in tables]
        if not tables or (free and chance.random() < 0.2):
            tables[name := chance.choice(free)] = ["x"]
            parent = chance.choice([f"REFERENCES {table}" for table in tables] + [""])
            return f"CREATE TABLE {name} (id integer PRIMARY KEY {parent}, x text)"
        table = chance.choice(list(tables))
        columns = tables[table]
        new, spare = chance.choice("xyz"), [name for name in "abcd" if f"v{name}" not in views]
        match chance.randrange(10):
            case 0:
                drop(table)
                del tables[table]
                return f"DROP TABLE {table} CASCADE"
            case 1 if free:
                name = chance.choice(free)
                tables[name] = tables.pop(table)
                views.update({view: name for view, of in views.items() if of == table})
                return f"ALTER TABLE {table} RENAME TO {name}"
            case 2 if new not in columns:
                columns.append(new)
                return f"ALTER TABLE {table} ADD {new} text DEFAULT {chance.randrange(9)}"
            case 3 if columns:
                drop(table)
                return f"ALTER TABLE {table} DROP {columns.pop()} CASCADE"
            case 4 if columns and new not in columns:
                old, columns[-1] = columns[-1], new
                return f"ALTER TABLE {table} RENAME {old} TO {new}"
            case 5 if spare:
                views[name := f"v{chance.choice(spare)}"] = table
                return f"CREATE VIEW {name} AS SELECT * FROM {table}"
            case 6 if views:
                name = chance.choice(list(views))
                del views[name]
                return f"DROP VIEW {name}"
            case 7 if columns:
                return f"DROP INDEX IF EXISTS i; CREATE INDEX i ON {table} ({chance.choice(columns)})"
            case 8:
                of = chance.choice([f"VIEW {name}" for name in views] + [f"COLUMN {table}.id"])
                return f"COMMENT ON {of} IS {chance.choice(['NULL', repr(str(chance.random()))])}"
        text = chance.choice(["NULL", repr(str(chance.random()))])
        return f"COMMENT ON TABLE {table} IS {text}; CREATE OR REPLACE FUNCTION f() RETURNS text RETURN {text}"

    return ["; ".join(step() for _ in range(chance.randrange(1, 4))) + ";" for _ in range(length)]


@pytest.mark.parametrize("seed", range(2))
def test_several_databases_give_what_one_gives(rebuild: Rebuild, seed: int) -> None:
    texts = invented(random.Random(seed), 8)
    texts += ["CREATE TABLE again ();", "DROP TABLE again;", "CREATE TABLE again ();"]
    hook = "CREATE OR REPLACE VIEW hooked AS SELECT 1 AS n; COMMENT ON VIEW hooked IS 'by the hook';"
    alone = rebuild(1, texts, hook)
    assert rebuild(3, texts, hook) == alone
    assert alone[1]["view", "public.hooked"] == alone[1]["table", "public.again"] == ["10_m"]


@pytest.mark.parametrize("kind", ["collide", "differ"])
def test_databases_that_collide_or_differ_give_way_to_one(
    rebuild: Rebuild, admin: psycopg.Connection, names: list[str], kind: str
) -> None:
    role = f"made_{uuid.uuid4().hex}"
    made_outside = f"EXECUTE 'CREATE ' || 'ROLE {role}'"
    made_by_chance = "EXECUTE format('CREATE TABLE t%s ()', floor(random() * 1e15))"
    text = f"DO $$ BEGIN {made_outside if kind == 'collide' else made_by_chance}; END $$;"
    texts = [text, "CREATE TABLE t ();"] if kind == "collide" else [text] * 4
    catalog, made = rebuild(2, texts)
    tables = [key for key in catalog if key[0] == "table"]
    assert len(tables) == (1 if kind == "collide" else 4)
    assert {*tables} <= {*made}
    assert not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()


def test_error_is_the_one_of_one_database(rebuild: Rebuild) -> None:
    texts = [*(f"CREATE TABLE t{n} ();" for n in range(5)), "CREATE TABLE t3 ();", "SELECT pg_sleep(1e6);"]
    errors = []
    for count in (1, 3):
        with pytest.raises(MigrationError) as caught:
            rebuild(count, texts)
        errors.append((str(caught.value), caught.value.state))
    assert errors[0] == errors[1]
    assert "05_m.sql:1" in errors[0][0]


def test_interrupt_ends_what_runs_in_all_of_them(
    rebuild: Rebuild, admin: psycopg.Connection, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = ANY (%s)"

    def interrupted(*_: object, **__: object) -> None:
        while not admin.execute(asleep, [names]).fetchone():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(rebuilt, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rebuild(2, ["CREATE TABLE a ();", "SELECT pg_sleep(1e6);"])


def test_next_run_begins_from_the_state_with_notes_and_gives_the_same(
    owner: Owner, tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = ScratchDatabase.run

    def noted_run(self: ScratchDatabase, migration: Migration, operation: str, *, mark: bool = True) -> None:
        ran.append(migration.id)
        run(self, migration, operation, mark=mark)

    monkeypatch.setattr(ScratchDatabase, "run", noted_run)
    defaults = Defaults(schemas=("given", "made"))

    def build(*, fresh: bool = False) -> tuple[Snapshot, Made, list[str], list[str]]:
        ran.clear()
        folders = reader.read([str(tmp_path)])
        with monkeypatch.context() as patch, databases.server(owner.conninfo) as admin:
            if fresh:
                patch.setattr(states, "longest", lambda *_, **__: (0, None))
            with rebuilt.rebuilt(admin, folders, Console(), defaults) as (scratch, made):
                return scratch.snapshot(), made, scratch.given_notes(), [*ran]

    def add(name: str, text: str) -> None:
        (tmp_path / f"{name}.sql").write_text(text)

    count = states.WORTH_A_STATE
    for n in range(count - 1):
        add(f"{n:02}_m", f"CREATE TABLE t{n} (); COMMENT ON TABLE t{n} IS 'größer'; ALTER TABLE t0 ADD a{n} integer;")
    add(f"{count - 1:02}_m", "DO $$ BEGIN EXECUTE 'CREATE SCH' || 'EMA made'; END $$;")
    add("post-apply", "CREATE OR REPLACE VIEW hooked AS SELECT 1 AS n;")
    first = build()
    assert len(first[3]) >= count + 1
    again = build()
    assert again[:3] == first[:3]
    assert again[3] == ["post-apply"]
    add("11_m", "DROP TABLE t1; ALTER TABLE t0 DROP a2; CREATE TABLE t1 (x integer);")
    longer = build()
    assert longer[3] == ["11_m", "post-apply"]
    assert longer[:3] == build(fresh=True)[:3]
    assert longer[1]["table", "public.t1"] == ["01_m", "11_m"]
    # Notes of another version of the catalog's reader are none, and new ones take the place of the state that had them.
    monkeypatch.setattr(query, "digest", lambda: "another")
    assert len(build()[3]) >= count + 2
    assert build()[3] == ["post-apply"]
    # So does what may be another thing tomorrow.
    add("00_m", "CREATE TABLE t0 (at timestamptz DEFAULT 'now'::timestamptz);")
    assert len(build()[3]) == len(build()[3]) >= count + 2


@pytest.mark.parametrize(
    ("text", "volatile"),
    [
        ("CREATE TABLE t (at timestamptz DEFAULT now())", False),
        ("CREATE TABLE IF NOT EXISTS t (at timestamptz DEFAULT now()); DROP TABLE IF EXISTS u", False),
        ("DO $$ BEGIN IF current_date > '2026-01-01' THEN CREATE TABLE t (); END IF; END $$", True),
        ("GRANT EXECUTE ON FUNCTION f() TO PUBLIC", False),
        ("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", False),
        ("DO $$ BEGIN EXECUTE format('CREATE TABLE p_%s ()', to_char(now(), 'YYYY_MM')); END $$", True),
        ("DO $$ BEGIN EXECUTE format('CREATE TABLE p_%s ()', CURRENT_DATE); END $$", True),
        ("SELECT format('CREATE TABLE %I ()', gen_random_uuid()) \\gexec", True),
        ("CREATE VIEW v AS SELECT 'TODAY'::date AS d", True),
    ],
)
def test_history_that_another_day_makes_another_is_not_kept(text: str, *, volatile: bool) -> None:
    assert noted._is_volatile(text.encode()) is volatile
