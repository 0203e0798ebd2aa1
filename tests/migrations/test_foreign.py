"""Files that yoyo would run for what they are not: every spelling of a rollback, the files of every other tool."""

from pathlib import Path

import pytest

from pgyoyo.errors import DefectsError, UsageError
from pgyoyo.migrations import reader


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def defects(folder: Path) -> dict[str, str]:
    """The words about each file of the folder."""
    _, found = reader.read_what_can_be([str(folder)])
    return {defect.path.name: defect.message for defect in found}


NAMES = [
    "0001_a.rollback..sql", "0001_a.rolback.sql", "0001_a.rollbak.sql", "0001_a.rollbacks.sql", "0001_a.roll-back.sql",
    "0001_a.ROLLBACK.sql", "0001_a.Rollback.sql", "0001_a.rollback .sql", "0001_a_rollback.sql", "0001_a-rollback.sql",
    "0001_a.down.sql", "0001_a_down.sql", "0001_a.undo.sql", "0001_a.revert.sql", "0001_a.backward.sql",
    "0001_a.downgrade.sql", "0002_b.rolback.sql", "0002_b.down.sql",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_rollback_under_another_name_is_not_run_forwards(name: str, tmp_path: Path) -> None:
    write(tmp_path, {"0001_a.sql": "CREATE TABLE a ();", name: "DROP TABLE a;"})
    [(wrong, words)] = defects(tmp_path).items()
    assert wrong == name
    assert f"rename it to {name[:6]}.rollback.sql" in words


@pytest.mark.parametrize("name", ["down.sql", "rollback.sql", "undo.sql"])
def test_name_that_is_no_more_than_a_word_for_undoing_is_refused(name: str, tmp_path: Path) -> None:
    assert list(defects(write(tmp_path, {name: "DROP TABLE a;", "up.sql": "CREATE TABLE a ();"}))) == [name]


@pytest.mark.parametrize(
    "name",
    ["0001_rollback.sql", "0002_add_rollback_log.sql", "0003_no_down.sql", "0004.fallback.sql", "0005_playback.v2.sql",
     "0006.feedback.sql", "0007_count.down_time.sql", "0008_a.b.sql", "download.sql", "V001__a.sql"],
)  # fmt: skip
def test_other_names_are_taken_as_they_are(name: str, tmp_path: Path) -> None:
    write(tmp_path, {name: "SELECT 1;", name.replace(".sql", ".rollback.sql"): "SELECT 2;", "README.md": ""})
    assert defects(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("CREATE TABLE a ();\n-- down\nDROP TABLE a;", 2),
        ("-- up\nCREATE TABLE a ();\n\n-- DOWN\n\nDROP TABLE a;", 4),
        ("CREATE TABLE a ();\r\n--rollback:\r\nDROP TABLE a;", 2),
        ("ALTER TABLE a ADD b int;\n-- === Revert ===\nALTER TABLE a DROP b;", 2),
        ("CREATE TABLE a ();\n-- rollback\n-- DROP TABLE a;", 0),
        ("-- rollback\nDROP TABLE a;", 0),
        ("CREATE TABLE a ();\n-- undo the last one\nDROP TABLE b;", 0),
        ("CREATE TABLE a ();\n-- countdown\nDROP TABLE b;", 0),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\n  -- undo\n  DELETE FROM a;\n$$;", 0),
    ],
)
def test_comment_before_what_undoes_the_file_divides_nothing(text: str, line: int, tmp_path: Path) -> None:
    write(tmp_path, {"0001_a.sql": text, "0001_a.rollback.sql": text})
    _, found = reader.read_what_can_be([str(tmp_path)])
    assert [(defect.path.name, defect.line) for defect in found] == ([("0001_a.sql", line)] if line else [])
    assert (
        not line or "divides nothing, and all of the file would be run; write what is to be undone" in found[0].message
    )


TOOLS = {
    "golang-migrate": {"0001_a.up.sql": "CREATE TABLE a ();", "0001_a.down.sql": "DROP TABLE a;"},
    "dbmate": {"2024_a.sql": "\n-- migrate:up transaction:false\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;"},
    "goose": {"1_a.sql": "-- +goose Up\nCREATE TABLE a ();\n-- +goose Down\nDROP TABLE a;"},
    "sql-migrate": {"1_a.sql": "-- +migrate Down\nDROP TABLE a;\n-- +migrate Up\nCREATE TABLE a ();"},
    "MyBatis": {"1_a.sql": "CREATE TABLE a ();\n--//@UNDO\nDROP TABLE a;"},
    "node-pg-migrate": {"1_a.sql": "-- Up Migration\nSELECT 1;\n-- Down Migration\n\n-- all\n SELECT 2;"},
    "tern": {"1_a.sql": "SELECT 1;\n---- create above / drop below ----\nSELECT 2;"},
    "Liquibase": {"1_a.sql": "--liquibase formatted sql\n--changeset a:1\nSELECT 1;\n--rollback SELECT 2;"},
    "Play": {"1.sql": "# --- !Ups\nSELECT 1;\n# --- !Downs\nSELECT 2;"},
    "Flyway": {"V1__a.sql": "CREATE TABLE a ();"},
    "flyway": {"U1.2__a.sql": "DROP TABLE a;", "V1.2__a.sql": "CREATE TABLE a ();"},
    "Flyway's": {"R__a.sql": "CREATE OR REPLACE VIEW a AS SELECT 1;"},
    "Alembic": {"1_a.py": "from alembic import op\n\ndef upgrade():\n    op.drop_table('a')"},
    "Django": {
        "0001_initial.py": "from django.db import migrations, models\nclass Migration(migrations.Migration): pass"
    },
    "sqitch": {"sqitch.plan": "", "a.sql": "SELECT 1;"},
}


@pytest.mark.parametrize("tool", TOOLS)
def test_file_of_another_tool_is_refused_with_its_name(tool: str, tmp_path: Path) -> None:
    found = defects(write(tmp_path, TOOLS[tool]))
    assert any(tool in words and ("pgyoyo import" in words or ".rollback.sql" in words) for words in found.values()), (
        found
    )


@pytest.mark.parametrize(
    ("forwards", "back", "wrong"),
    [
        ("-- UP MIGRATION: a table\nSELECT 1;", "-- Down migration: drop it\nSELECT 2;", []),
        ("SELECT 1;\n-- Down migration: see the rollback\n\n", "SELECT 2;\n-- up migration\r\n--", []),
        ("SELECT 1;\n-- Down migration\r\n-- b\r\nSELECT 2;", "SELECT 2;", ["1_a.sql"]),
        ("SELECT 1;", "SELECT 2;\n-- UP migration\nSELECT 1;", ["1_a.rollback.sql"]),
    ],
)
def test_a_comment_in_plain_words_is_no_other_half(forwards: str, back: str, wrong: list[str], tmp_path: Path) -> None:
    assert list(defects(write(tmp_path, {"1_a.sql": forwards, "1_a.rollback.sql": back}))) == wrong


def test_folders_of_sqitch_prisma_and_diesel_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a", {"sqitch.plan": "", "deploy/x.sql": "CREATE TABLE a ();", "revert/x.sql": "DROP TABLE a;"})
    with pytest.raises(DefectsError, match=r"deploy: is a folder of sqitch's.*pgyoyo import sqitch"):
        reader.read([str(tmp_path / "a" / "deploy")])
    write(tmp_path / "b", {"20240101_init/migration.sql": "CREATE TABLE a ();", "migration_lock.toml": ""})
    with pytest.raises(UsageError, match=r"Prisma.*pgyoyo import prisma"):
        reader.read([str(tmp_path / "b")])
    write(tmp_path / "c", {"1_init/up.sql": "CREATE TABLE a ();", "1_init/down.sql": "DROP TABLE a;"})
    with pytest.raises(UsageError, match=r"Diesel.*pgyoyo import diesel"):
        reader.read([str(tmp_path / "c")])


def test_words_of_other_tools_for_outside_a_transaction_are_named_unless_the_header_has_ours(tmp_path: Path) -> None:
    write(tmp_path, {
        "1_a.sql": "-- no-transaction\r\nSELECT 1;", "1_a.rollback.sql": "-- Why.\n-- atlas:txmode none\n\nSELECT 1;",
        "2_b.sql": "--postgres-migrations disable-transaction\n--\n-- transactional: false\n\nSELECT 1;",
        "3_c.sql": "-- no-transaction is needed here.\nSELECT 1;",
    })  # fmt: skip
    shown = reader.read([str(tmp_path)]).warnings
    assert [warning.partition(" has another tool")[0] for warning in shown] == [
        f'{tmp_path}/1_a.sql:1: "-- no-transaction"', f'{tmp_path}/1_a.rollback.sql:2: "-- atlas:txmode none"',
    ]  # fmt: skip


def test_dependencies_of_a_rollback_file_are_warned_of_only_where_they_are_others(tmp_path: Path) -> None:
    write(tmp_path, {
        "0001_a.sql": "SELECT 1;", "0001_a.rollback.sql": "-- depends:\nSELECT 1;",
        "0002_b.sql": "-- depends: 0001_a\nSELECT 1;", "0002_b.rollback.sql": "-- depends: 0001_a\n\nSELECT 1;",
        "0003_c.sql": "-- depends: 0002_b\nSELECT 1;", "0003_c.rollback.sql": "-- depends: 0004_d 0001_a\nSELECT 1;",
    })  # fmt: skip
    [warning] = reader.read([str(tmp_path)]).warnings
    assert warning.startswith(f"{tmp_path}/0003_c.rollback.sql: depends on 0004_d and 0001_a, and ")
