"""A connection that is cut in a COMMIT is looked up, at any of the hosts, and leaves no lock row behind."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from proxy import Cut, Link, Proxy

# Where the connection is cut: before the server has the message, or after it has done what it says.
WHERE = ("request", "answer")


@dataclass
class Hosts:
    """Two addresses of one server: the second answers once the first is dead, which it is after a message with `words`."""

    words: bytes = b""
    where: str = "answer"
    is_dead: bool = False
    conninfo: str = field(default="", init=False)
    _sent: set[tuple[Link, int]] = field(default_factory=set, init=False)

    def first(self, link: Link, what: str, number: int, data: bytes) -> bytes:
        if what == "request" and self.words and self.words in data and b"COMMIT" in data:
            self._sent.add((link, number))
        if self.is_dead or (what == self.where and (link, number) in self._sent):
            self.is_dead = True
            raise Cut
        return data

    def second(self, link: Link, what: str, number: int, data: bytes) -> bytes:
        if not self.is_dead:
            raise Cut
        return data


@pytest.fixture
def hosts(database: str) -> Iterator[Hosts]:
    hosts = Hosts()
    with ExitStack() as stack:
        facts = [
            conninfo_to_dict(stack.enter_context(Proxy(database, hook)).conninfo)
            for hook in (hosts.first, hosts.second)
        ]
        pairs = {name: ",".join(str(each[name]) for each in facts) for name in ("host", "port")}
        hosts.conninfo = make_conninfo(database, **pairs, target_session_attrs="read-write")
        yield hosts


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    for number, name in enumerate(("a", "b"), start=1):
        (folder / f"000{number}_{name}.sql").write_text(f"CREATE TABLE {name} ();")
        (folder / f"000{number}_{name}.rollback.sql").write_text(f"DROP TABLE {name};")
    return folder


def ids(conn: psycopg.Connection) -> list[str]:
    return [name for (name,) in conn.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1")]


def lock_rows(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    return conn.execute("SELECT pid FROM yoyo_lock").fetchall()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("operation", ["apply", "rollback"])
def test_migration_is_looked_up_at_the_host_that_answers(
    where: str, operation: str, hosts: Hosts, conn: psycopg.Connection, files: Path, run
) -> None:
    options = ("--migrations", files, "--database", hosts.conninfo)
    if operation == "rollback":
        assert run("apply", *options).code == 0
    hosts.words, hosts.where = {"apply": b"CREATE TABLE b", "rollback": b"DROP TABLE b"}[operation], where
    result = run(operation, *options)
    assert result.code == 1
    is_not = "" if where == "answer" else "not "
    verb = "applied" if operation == "apply" else "rolled back"
    assert f"looked up afterwards: 0002_b is {is_not}{verb}" in result.err
    assert ("0002_b" in ids(conn)) == ((operation == "apply") == (where == "answer"))
    assert lock_rows(conn) == []


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("mark", "2"), b"_yoyo_migration"),
        (("baseline", "--to", "2", "--yes"), b"_yoyo_migration"),
        (("unmark", "1"), b"_yoyo_migration"),
        (("repair", "1"), b"_pgyoyo_migration"),
        (("settle", "3", "--done"), b"_pgyoyo_journal"),
        (("settle", "3", "--again"), b"_pgyoyo_journal"),
        (("settle", "0004_fill", "--again"), b"_pgyoyo_backfill"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_change_of_the_ledger_by_hand_is_looked_up(
    where: str, command: tuple[str, ...], words: bytes, hosts: Hosts, conn: psycopg.Connection, files: Path, run
) -> None:
    options = ("--migrations", files, "--database", hosts.conninfo)
    assert run("apply", "--to", "1", *options).code == 0
    (files / "0003_alone.sql").write_text("-- transactional: false\nCREATE TABLE c ();")
    (files / "0004_fill.sql").write_text("-- backfill: batched\nUPDATE a SET n = 1 WHERE n IS NULL;")
    if command[0] == "repair":
        (files / "0001_a.sql").write_text("CREATE TABLE a (n int);")
    conn.execute(
        """INSERT INTO _pgyoyo_journal
           SELECT encode(sha256('0003_alone'), 'hex'), 1, '0003_alone', 'apply', '', now(), 'started';
           INSERT INTO _pgyoyo_backfill SELECT encode(sha256('0004_fill'), 'hex'), '0004_fill', '', 1"""
    )
    before = state(conn)
    hosts.words, hosts.where = words, where
    result = run(*command, *options)
    assert result.code == 1
    assert hosts.is_dead, result.err
    recorded = "it is recorded" if where == "answer" else "nothing was changed; run it again"
    assert result.err.splitlines()[-1] == f"looked up afterwards: {recorded}"
    assert (state(conn) != before) == (where == "answer")
    assert lock_rows(conn) == []


def state(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    query = """
        SELECT migration_id, checksum FROM _yoyo_migration LEFT JOIN _pgyoyo_migration USING (migration_id)
        UNION ALL SELECT migration_id, state FROM _pgyoyo_journal UNION ALL SELECT migration_id, '' FROM _pgyoyo_backfill
        ORDER BY 1, 2"""
    return conn.execute(query).fetchall()


def test_loss_that_leaves_nothing_to_look_up_leaves_no_lock_row(
    hosts: Hosts, conn: psycopg.Connection, files: Path, run
) -> None:
    (files / "post-apply.sql").write_text("SELECT 'hook';")
    hosts.words = b"SELECT 'hook'"
    result = run("apply", "--migrations", files, "--database", hosts.conninfo)
    assert (result.code, hosts.is_dead) == (1, True)
    assert "whether post-apply ran to its end is not known" in result.err
    assert ids(conn) == ["0001_a", "0002_b"]
    assert lock_rows(conn) == []


# A description of rows that says of more columns than it has: libpq calls it an error of its own, and reads on.
UNREADABLE = b"T" + (6).to_bytes(4) + (5).to_bytes(2)


def test_answer_that_the_client_can_not_read_is_looked_up(
    database: str, conn: psycopg.Connection, tmp_path: Path, run_here
) -> None:
    """As a result that does not fit into memory: an error without SQLSTATE, on a connection that lives."""
    words = b""
    hit: list[tuple[Link, int]] = []

    def spoil(link: Link, what: str, number: int, data: bytes) -> bytes:
        if what == "request" and words and words in data and not hit:
            hit.append((link, number))
        return UNREADABLE + data if what == "answer" and (link, number) in hit else data

    folder = tmp_path / "sql"
    folder.mkdir()
    with Proxy(database, spoil) as proxy:

        def after(sent: bytes, *command: str) -> str:
            """What a command says whose message with these words has an answer that can't be read."""
            nonlocal words
            words = sent
            hit.clear()
            done = run_here(*command, "--migrations", folder, "--database", proxy.conninfo)
            assert hit, command
            assert done.code == 1, done.err
            assert "the server's answer could not be read" in done.err
            assert "connection was lost" not in done.err
            return done.err.splitlines()[-1]

        for name, text in FILES.items():
            (folder / f"{name}.sql").write_text(text)
            (folder / f"{name}.rollback.sql").write_text("DROP TABLE IF EXISTS a")
        applied = "looked up afterwards: {} is applied"
        assert after(b"CREATE TABLE a", "apply").startswith(applied.format("0001_a"))
        # The note of a statement outside a transaction, then its record.
        assert after(b"'started'", "apply").startswith("looked up afterwards: 0002_b is not applied")
        conn.execute("DROP INDEX IF EXISTS i")
        assert after(b"INSERT INTO public._yoyo_migration", "apply").startswith(applied.format("0002_b"))
        error = after(b"_pgyoyo_backfill AS b SET", "apply")
        assert error.startswith("looked up afterwards: 0003_c is not applied")
        assert after(b"INSERT INTO public._yoyo_migration", "apply").startswith(applied.format("0003_c"))
        assert after(b"DELETE FROM public._yoyo_migration", "unmark", "3").endswith("it is recorded")
        assert after(b"INSERT INTO public._yoyo_migration", "mark", "3").endswith("it is recorded")
        back = after(b"DROP TABLE", "rollback")
        assert back.startswith("looked up afterwards: 0003_c is rolled back")
        assert back.endswith("Before you roll back more: pgyoyo status")
    assert ids(conn) == ["0001_a", "0002_b"]
    assert lock_rows(conn) == []


FILES = {
    "0001_a": "CREATE TABLE a (n int, m int); INSERT INTO a (n) SELECT g FROM generate_series(1, 15000) AS g;",
    "0002_b": "-- transactional: false\nCREATE INDEX CONCURRENTLY i ON a (n);",
    "0003_c": "-- backfill: batched\nUPDATE a SET m = n WHERE m IS NULL;",
}
