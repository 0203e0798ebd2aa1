"""Several proved at once are what each is proved as alone, in the same order."""

from pathlib import Path

import psycopg
import pytest

from pgyoyo.console import Console
from pgyoyo.errors import PgyoyoError
from pgyoyo.migrations import reader
from pgyoyo.prove import parallel, prover
from pgyoyo.prove.proof import Proof
from staging import write

FILES = {
    "0001_a": ("CREATE TABLE a (id integer);", "-- lossy: all\nDROP TABLE a;"),
    # No sample row satisfies it, which the first proof that meets the table says.
    "0002_odd": ("CREATE TABLE odd (n integer CHECK (n > 5 AND n < 5));", "DROP TABLE odd;"),
    "0003_broken": ("CREATE TABLE b (id nowhere);", "DROP TABLE b;"),
    "0004_after": ("-- depends: 0003_broken\nCREATE TABLE c (id integer);", "DROP TABLE c;"),
    "0005_index": ("CREATE INDEX a_id ON a (id);", "SELECT 'nothing';"),
    "0006_note": ("ALTER TABLE a ADD note text;", "ALTER TABLE a DROP note;"),
    "0007_odd": ("ALTER TABLE odd ADD m integer;", "-- lossy: m\nALTER TABLE odd DROP m;"),
}


def facts(proof: Proof) -> tuple[object, ...]:
    return proof.id, proof.findings, proof.notes, proof.lossy, proof.places


@pytest.mark.parametrize("options", [{}, {"ids": ["1", "5", "6", "7"]}], ids=["all", "some"])
def test_several_at_once_are_proved_as_each_is_alone(
    admin: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, list[str]]
) -> None:
    monkeypatch.setattr(parallel, "WORTH_A_WORKER", 2)
    monkeypatch.setattr(parallel, "_IN_A_ROW", 2)
    write(tmp_path / "sql", FILES)
    folders = reader.read([str(tmp_path / "sql")])
    at_once, alone = (
        [facts(proof) for proof in module.prove(admin, folders, Console(quiet=True), **options)]
        for module in (parallel, prover)
    )
    assert at_once == alone
    assert {"0003_broken", "0005_index"} <= {proof[0] for proof in alone if proof[1]}
    assert sum("odd" in note for proof in alone for note in proof[2]) == 1


def test_error_of_the_server_ends_the_proofs(
    admin: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "WORTH_A_WORKER", 1)
    write(tmp_path / "sql", FILES)
    folders = reader.read([str(tmp_path / "sql")])

    def broken(*_: object, **__: object) -> None:
        raise PgyoyoError("the scratch server: gone")

    monkeypatch.setattr(prover, "proofs", broken)
    with pytest.raises(PgyoyoError, match="gone"):
        list(parallel.prove(admin, folders, Console(quiet=True)))
