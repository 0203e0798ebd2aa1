"""States that are kept: what is begun from them, what is not kept, and when they go."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import staging
from conftest import Owner
from pgyoyo.catalog import snapshot
from pgyoyo.console import Console
from pgyoyo.engine.observer import SILENT
from pgyoyo.errors import MigrationError
from pgyoyo.migrations import plan, reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove import prover
from pgyoyo.review.review import Chain, review
from pgyoyo.scratch import databases, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import Defaults

COUNT = states.WORTH_A_STATE


@pytest.fixture
def server(owner: Owner) -> Iterator[psycopg.Connection]:
    with databases.server(owner.conninfo) as admin:
        yield admin


@pytest.fixture
def order(tmp_path: Path) -> Callable[..., list[Migration]]:
    """Migrations that make a table each, as many as are worth a state and one more, but for some of other text."""

    def order(count: int = COUNT, **others: str) -> list[Migration]:
        folder = tmp_path / "sql"
        for n in range(count):
            text = others.get(f"m{n}", f"CREATE TABLE t{n} (id integer);")
            staging.write(folder, {f"{n:04}_m": (text, f"-- lossy: all\nDROP TABLE t{n};")})
        return plan.order(reader.read([str(folder)]).migrations)

    return order


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the migrations that were applied in scratch databases."""
    ran: list[str] = []
    run = ScratchDatabase.run

    def noted(self: ScratchDatabase, migration: Migration, operation: str, *, mark: bool = True) -> None:
        ran.append(migration.id)
        run(self, migration, operation, mark=mark)

    monkeypatch.setattr(ScratchDatabase, "run", noted)
    return ran


def kept(owner: Owner) -> set[str]:
    return {name for name in owner.databases() if name.startswith(states.PREFIX)}


def looked(admin: psycopg.Connection, order: list[Migration], **options: Defaults) -> snapshot.Snapshot:
    """The catalog of a database after these migrations; its ledger has all of them."""
    with (
        states.database_after(admin, order, SILENT, **options) as (conninfo, schema, *_),
        psycopg.connect(conninfo, autocommit=True) as conn,
    ):
        rows = conn.execute(f"SELECT migration_id FROM {schema}._yoyo_migration".encode())
        assert {name for (name,) in rows} == {migration.id for migration in order}
        return snapshot.snapshot(conn)


def test_state_is_kept_and_what_has_it_as_its_beginning_runs_the_rest_only(server, owner, order, ran) -> None:
    alter = "format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database())"
    setting = f"DO $$ BEGIN EXECUTE {alter}; END $$;"
    long = order(2 * COUNT, m3=setting, m2="CREATE SCHEMA other; SET search_path = other; CREATE TABLE t2 ();")
    first = looked(server, long[:COUNT])
    assert len(ran) == COUNT
    assert len(kept(owner)) == 1
    assert owner.databases() == kept(owner), "nothing else is left"
    ran.clear()
    assert looked(server, long[:COUNT]) == first
    assert ran == []
    looked(server, long[: COUNT + 1])
    assert ran == [long[COUNT].id], "begun from the state before it"
    assert len(kept(owner)) == 1, "one migration is not worth another state"
    with states.database_after(server, long[: COUNT + 1], SILENT) as (conninfo, *_), psycopg.connect(conninfo) as conn:
        assert conn.execute("SHOW search_path").fetchone() == ("public, pg_catalog",), "stored settings come along"
    ran.clear()
    looked(server, long)
    looked(server, long)
    assert ran == [migration.id for migration in long[COUNT:]]
    assert len(kept(owner)) == 2


def test_other_text_other_rollback_or_other_time_zone_is_another_state(server, owner, order, ran, tmp_path) -> None:
    looked(server, order())
    looked(server, order(), defaults=Defaults({"timezone": "Asia/Tokyo"}))
    assert len(kept(owner)) == 2
    (tmp_path / "sql/0001_m.rollback.sql").write_text("-- lossy: everything\nDROP TABLE t1;")
    looked(server, plan.order(reader.read([str(tmp_path / "sql")]).migrations))
    assert len(kept(owner)) == 3
    edited = order(m0="CREATE TABLE t0 (id bigint);")
    assert looked(server, edited)["column", "public.t0.id"] == "bigint"
    assert len(kept(owner)) == 4
    assert len(ran) == 4 * COUNT


def test_few_small_ones_are_not_worth_a_state_but_a_big_one_is(server, owner, order) -> None:
    looked(server, order(COUNT - 1))
    assert kept(owner) == set()
    looked(server, order(1, m0=f"CREATE TABLE t0 ();\n/* {'x' * states.WORTH_BYTES} */"))
    assert len(kept(owner)) == 1


def test_state_that_another_run_would_not_get_is_not_kept(server, owner, order) -> None:
    role = f"{owner.name}_made"
    hidden = f"DO $$ BEGIN EXECUTE 'CREATE ' || 'ROLE {role}'; END $$;"
    looked(server, order(m4=hidden))
    server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    wrong = order(m4="SELECT 1/0;")
    broken: dict[str, str] = {}
    with states.database_after(server, wrong, SILENT, broken=broken):
        assert list(broken) == ["0004_m"]
    with pytest.raises(MigrationError), states.database_after(server, wrong, SILENT):
        pass
    assert owner.databases() == set()


def test_states_go_that_are_old_or_too_many_and_no_other_database(server, owner, order) -> None:
    looked(server, order())
    [old] = kept(owner)
    server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(f"{states.PREFIX}{owner.name[-12:]}")))
    [foreign] = kept(owner) - {old}

    def used(name: str, day: str) -> None:
        comment = f"made by pgyoyo: the state after x; ledger in public; last used {day} 12:00"
        server.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), comment))

    used(old, "2020-01-01")
    looked(server, order(m0="CREATE TABLE t0 (a integer);"))
    assert old not in kept(owner)
    assert foreign in kept(owner)
    [fresh] = kept(owner) - {foreign}
    used(fresh, "2020-01-01")
    looked(server, order(m0="CREATE TABLE t0 (a integer);"))
    assert fresh in kept(owner), "what is used now is not old"
    copies = [f"{states.PREFIX}{owner.name[-12:]}_{n}" for n in range(states.KEPT)]
    for name in copies:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        used(name, "2999-01-01")
    looked(server, order(m0="CREATE TABLE t0 (b integer);"))
    assert kept(owner) >= {foreign, *copies}
    assert fresh not in kept(owner)


def test_run_that_is_killed_while_it_keeps_a_state_leaves_what_the_next_one_drops(
    server, owner, order, monkeypatch
) -> None:
    class KilledError(BaseException):
        """What no code of ours catches."""

    def killed(*_: object) -> None:
        raise KilledError

    for step in ("_note_use", "_rename"):
        monkeypatch.setattr(states, step, killed)
        with pytest.raises(KilledError), states.database_after(server, order(), SILENT):
            pass
        monkeypatch.undo()
        deadline = time.monotonic() + 20
        while owner.databases() and time.monotonic() < deadline:
            databases.sweep(server)  # the sweep of another worker may be at the same one
        assert owner.databases() == set()


def test_state_that_is_swept_at_the_last_moment_is_made_again(server, owner, order, monkeypatch) -> None:
    migrations = order()
    first = looked(server, migrations)
    monkeypatch.setattr(states, "longest", lambda *_: (COUNT, "public"))
    for name in kept(owner):
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    assert looked(server, migrations) == first
    assert len(kept(owner)) == 1


def test_review_and_prove_of_the_last_one_begin_from_one_state(server, owner, order, ran, tmp_path) -> None:
    migrations = order(COUNT + 1)
    defaults = Defaults({"timezone": server.execute("SHOW timezone").fetchone()[0]})
    chain = Chain(migrations, [COUNT])
    first = review(server, chain, Console(quiet=True), defaults=defaults)
    before = ran.count("0000_m")
    again = review(server, chain, Console(quiet=True), defaults=defaults)
    [proof] = prover.prove(server, reader.read([str(tmp_path / "sql")]), Console(quiet=True), ids=[f"{COUNT:04}_m"])
    assert before == ran.count("0000_m") == 1
    assert proof.findings == {}
    assert [finding.rule for finding in again.findings] == [finding.rule for finding in first.findings]
    assert again.sheets[0].rollback.state == "proved"
    assert len(kept(owner)) == 1
    assert owner.databases() == kept(owner)
