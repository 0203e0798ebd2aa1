"""Phases: what is applied before a deployment and after it, what is refused, and what a new pair of files depends on."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pgyoyo.errors import UsageError
from pgyoyo.migrations import plan, reader, scaffold
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.phases import selection, split

EXPAND, CONTRACT = "-- phase: expand\n", "-- phase: contract\n"
DROP = CONTRACT + "ALTER TABLE t DROP COLUMN a"


def pending(files: Mapping[str, str]) -> list[Migration]:
    return [reader.from_texts(name, text, None) for name, text in files.items()]


def ids(migrations: list[Migration]) -> list[str]:
    return [migration.id for migration in migrations]


def test_expand_takes_all_but_the_contract_ones_and_contract_those_up_to_the_next_release() -> None:
    files = {
        "1_b": EXPAND + "SELECT 1",
        "2_none": "SELECT 1",
        "3_drop": DROP,
        "4_next": "ALTER TABLE t ADD b int",
        "5_drop": DROP,
    }
    now, held = split(pending(files), "expand")
    assert ids(now) == ["1_b", "2_none", "4_next"]
    assert [(entry.migration.id, entry.reason) for entry in held] == [
        ("3_drop", "a contract migration"),
        ("5_drop", "a contract migration"),
    ]
    now, held = split(pending({name: files[name] for name in ("3_drop", "4_next", "5_drop")}), "contract")
    assert ids(now) == ["3_drop"]
    assert [entry.reason for entry in held] == ["stands after 4_next, which is pending"]
    assert split(pending({"2_none": "SELECT 1"}), "contract") == ([], [])


def test_contract_is_refused_while_all_of_it_has_to_wait() -> None:
    with pytest.raises(UsageError, match=r"2_drop stands after 1_b, which is pending .* pgyoyo apply --phase expand"):
        split(pending({"1_b": "SELECT 1", "2_drop": DROP}), "contract")


# What a contract migration makes or renames, and a later file that needs it: by its header, or by the name.
NEEDING = [
    ("ALTER TABLE t RENAME COLUMN a TO x", "SELECT q.X FROM q"),
    ("ALTER TABLE t RENAME TO x", "ALTER TABLE x ADD b int"),
    ("CREATE TABLE x ()", "CREATE INDEX ON s.x (b)"),
    ("CREATE VIEW x AS SELECT 1", "GRANT SELECT ON x TO PUBLIC"),
    ("CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "ALTER TABLE t ALTER a SET DEFAULT x()"),
    ("CREATE TYPE x AS ENUM ()", "ALTER TABLE t ADD b x"),
    ("CREATE INDEX x ON t (a)", "DROP INDEX x"),
    ("SELECT 1", "-- depends: 1_contract\nSELECT 1"),
]
# Neither makes what the other needs, though both may name the table.
FREE = [
    ("ALTER TABLE t DROP COLUMN x", "ALTER TABLE t ADD b int"),
    ("CREATE INDEX y ON x (a)", "ALTER TABLE x ADD b int"),
    ("CREATE TRIGGER y BEFORE INSERT ON x EXECUTE FUNCTION f()", "ALTER TABLE x ADD b int"),
    ("CREATE TABLE x ()", "CREATE TABLE xx ()"),
    ("ALTER TABLE x ALTER a SET NOT NULL", "UPDATE x SET b = 1"),
]


@pytest.mark.parametrize(("contract", "later"), NEEDING)
@pytest.mark.parametrize("phase", [EXPAND, ""])
def test_what_needs_a_pending_contract_migration_is_refused_with_the_way_out(
    contract: str, later: str, phase: str
) -> None:
    files = pending({"1_contract": CONTRACT + contract, "2_later": phase + later})
    with pytest.raises(UsageError, match=r"2_later (depends on|names) .*1_contract.* pgyoyo apply --phase contract"):
        split(files, "expand")
    assert ids(split(files[:1], "contract")[0]) == ["1_contract"]


@pytest.mark.parametrize(("contract", "later"), FREE)
def test_what_only_shares_a_table_with_one_is_applied(contract: str, later: str) -> None:
    assert ids(split(pending({"1_contract": CONTRACT + contract, "2_later": later}), "expand")[0]) == ["2_later"]


@pytest.mark.parametrize("way", ["COLUMN", "CONSTRAINT", ""])
def test_name_that_is_only_swapped_is_no_new_one(way: str) -> None:
    renames = {"": "ALTER INDEX x RENAME TO x_old; ALTER INDEX x_new RENAME TO x"}
    swap = renames.get(way, f"ALTER TABLE t RENAME {way} x TO x_old; ALTER TABLE t RENAME {way} x_new TO x")
    now, held = split(pending({"1_swap": CONTRACT + swap, "2_next": "CREATE TABLE u (x int)"}), "expand")
    assert (ids(now), len(held)) == (["2_next"], 1)


def test_phase_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match='the phase is "later"; it must be expand or contract'):
        selection("later")


def test_new_expand_migration_depends_on_no_contract_one_and_makes_no_second_head(tmp_path: Path) -> None:
    for name, phase in (("make", ""), ("drop", "contract"), ("add", "expand"), ("drop_more", "contract")):
        path, _ = scaffold.write(tmp_path, name, phase=phase)
        path.write_text(path.read_text() + "SELECT 1;\n")
    migrations = reader.read([str(tmp_path)]).migrations
    assert [(m.id, m.depends, m.apply.header.phase) for m in migrations] == [
        ("0001_make", (), ""),
        ("0002_drop", ("0001_make",), "contract"),
        ("0003_add", ("0001_make",), "expand"),
        ("0004_drop_more", ("0002_drop", "0003_add"), "contract"),
    ]
    assert plan.merged_heads(plan.order(migrations[:3])) == []
    assert (
        tmp_path / "0003_add.sql"
    ).read_text() == "-- Add.\n--\n-- depends: 0001_make\n-- phase: expand\n\nSELECT 1;\n"
