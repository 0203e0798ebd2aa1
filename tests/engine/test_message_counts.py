"""What a run costs, counted: messages, commits and connections. How long it takes is for `make bench` to say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy import Link, Proxy


class Requests:
    """The requests that went to the server, by connection; without those that look who is in the way of a slow one."""

    def __init__(self) -> None:
        self.links: dict[int, list[bytes]] = {}

    def __call__(self, link: Link, what: str, number: int, data: bytes) -> bytes:
        if what == "start" and link.application != "pgyoyo watch":
            self.links[link.number] = []
        elif what == "request" and link.number in self.links:
            self.links[link.number].append(data)
        return data


@pytest.fixture
def requests(database: str, run: Callable, tmp_path: Path) -> Callable[..., list[bytes]]:
    """Runs the command on the test's database and returns the requests it sent, all on one connection."""

    def requests(*args: str) -> list[bytes]:
        seen = Requests()
        with Proxy(database, seen) as proxy:
            done = run(*args, "--migrations", tmp_path / "sql", "--database", proxy.conninfo)
        assert done.code == 0, done.err
        [sent] = seen.links.values()
        return sent

    return requests


def write(folder: Path, numbers: range) -> None:
    folder.mkdir(exist_ok=True)
    for n in numbers:
        (folder / f"{n:04}_a.sql").write_text(f"CREATE TABLE a{n} ();\nCOMMENT ON TABLE a{n} IS 'A';\n")
        (folder / f"{n:04}_a.rollback.sql").write_text(f"DROP TABLE a{n};\n")


def of_migrations(sent: list[bytes], text: bytes) -> list[bytes]:
    return [one for one in sent if text in one]


def test_migration_takes_one_message_with_one_commit_both_ways(requests: Callable, tmp_path: Path) -> None:
    write(tmp_path / "sql", range(1, 4))
    few = requests("apply")
    write(tmp_path / "sql", range(4, 14))
    many = requests("apply")
    back = requests("rollback", "--all", "--yes")
    for sent, text, count in ((few, b"CREATE TABLE a", 3), (many, b"CREATE TABLE a", 10), (back, b"DROP TABLE a", 13)):
        messages = of_migrations(sent, text)
        assert len(messages) == count
        assert {(one.count(b"BEGIN;"), one.count(b"COMMIT;")) for one in messages} == {(1, 1)}
    # What else a run sends does not grow with the number: the first one also makes the ledger.
    assert len(many) - 10 <= len(few) - 3
    # A rollback asks once whether there are functions that remember the types of what is dropped.
    assert len(back) - 13 <= len(many) - 10 + 1


def test_single_transaction_takes_one_message_each_and_one_commit(requests: Callable, tmp_path: Path) -> None:
    write(tmp_path / "sql", range(1, 11))
    messages = of_migrations(requests("apply", "--single-transaction"), b"CREATE TABLE a")
    assert [one.count(b"COMMIT;") for one in messages] == [0] * 9 + [1]


def test_status_takes_two_queries_however_much_is_applied(requests: Callable, tmp_path: Path) -> None:
    write(tmp_path / "sql", range(1, 14))
    requests("apply")
    # The ledger, and whether a runner is at work.
    assert len(requests("status")) == 2
    assert len(requests("status", "--format", "json")) == 2


def test_nothing_to_do_takes_two_queries_however_much_is_applied(requests: Callable, tmp_path: Path) -> None:
    write(tmp_path / "sql", range(1, 14))
    requests("apply")
    # The ledger, and the lock row that a dead runner may have left.
    assert len(requests("apply")) == 2
