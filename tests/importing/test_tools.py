"""What each importer reads: order and ids, both directions, what a tool's own marks mean, what is refused or named."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pgyoyo.errors import UsageError
from pgyoyo.importing import pairs, tools
from pgyoyo.importing.flyway import version
from pgyoyo.importing.source import Project, origin_of
from pgyoyo.migrations import plan, reader

UP, DOWN = "CREATE TABLE t (id int);", "DROP TABLE t;"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Project]:
    def read(tool: str, files: Mapping[str, str]) -> Project:
        for name, text in files.items():
            path = tmp_path / "theirs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return tools.read(tool, tmp_path / "theirs")

    return read


def written(project: Project, folder: Path) -> dict[str, str]:
    """The files as they would be written; the reader takes them, in the same order."""
    texts = pairs.files(project)
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    read = reader.read([str(folder)])
    assert [migration.id for migration in read.migrations] == [migration.id for migration in project.migrations]
    assert [origin_of(migration.apply.data) for migration in read.migrations] == [
        (project.tool, migration.name) for migration in project.migrations
    ]
    return texts


@pytest.mark.parametrize(
    ("tool", "files", "apply", "rollback"),
    [
        # Line ends and blanks as they come; the other direction may stand first; words above the first mark.
        ("dbmate", {"1_t.sql": f"-- migrate:up\r\n{UP}\r\n\r\n--migrate:down  \r\n{DOWN}\r\n"}, UP, DOWN),
        ("dbmate", {"1_t.sql": f"-- migrate:down\n{DOWN}\n-- migrate:up\n{UP}\n"}, UP, DOWN),
        ("dbmate", {"1_t.sql": f"-- A table.\n-- migrate:up\n{UP}\n"}, f"-- A table.\n\n{UP}", "-- irreversible:"),
        (
            "dbmate",
            {"1_t.sql": f"-- migrate:up transaction:false\n{UP}"},
            f"-- transactional: false\n\n{UP}",
            "-- irreversible:",
        ),
        # What is a comment to a tool is no directive of ours.
        ("dbmate", {"1_t.sql": f"-- migrate:up\n-- depends: x\n{UP}"}, f"-- | depends: x\n{UP}", "-- irreversible:"),
        (
            "dbmate",
            {"1_t.sql": f"-- migrate:up\n-- Transactionnal: x\n{UP}"},
            "-- | Transactionnal: x",
            "-- irreversible:",
        ),
        # Nothing to do, nothing to undo.
        (
            "dbmate",
            {"1_t.sql": "-- migrate:up\n\n-- migrate:down\n"},
            "SELECT 'nothing to do' AS note;",
            "SELECT 'nothing to undo'",
        ),
        ("goose", {"1_t.sql": f"-- +goose Up\n{UP}\n-- +goose Down\n{DOWN}"}, UP, DOWN),
        (
            "goose",
            {"1_t.sql": f"-- +goose up\n-- +goose StatementBegin\n{UP[:-1]} -- why; so\n-- +goose StatementEnd"},
            f"{UP[:-1]} -- why; so\n;\n",
            "-- irreversible:",
        ),
        (
            "goose",
            {"1_t.sql": f"--+goose NO TRANSACTION\n-- +goose Up\n{UP}\n-- +goose Down\n{DOWN}\n"},
            "-- transactional: false",
            f"-- transactional: false\n\n{DOWN}",
        ),
        ("golang-migrate", {"1_t.up.sql": UP, "1_t.down.sql": DOWN}, UP, DOWN),
        ("golang-migrate", {"1_addURL-toT.up.sql": UP}, "-- AddURL toT.\n", "-- irreversible:"),
        (
            "golang-migrate",
            {"1_t.up.sql": "CREATE INDEX CONCURRENTLY i ON t (id)"},
            "-- transactional: false",
            "-- irreversible:",
        ),
        (
            "golang-migrate",
            {"1_t.up.sql": "DO $$ BEGIN LOOP COMMIT; EXIT; END LOOP; END $$"},
            "-- transactional: false",
            "-- irreversible:",
        ),
        ("flyway", {"V1__t.sql": UP, "U1.0__t.sql": DOWN}, UP, DOWN),
        (
            "flyway",
            {"V1__t.sql": UP, "V1__t.sql.conf": "executeInTransaction=false\n"},
            "-- transactional: false",
            "-- irreversible:",
        ),
        ("prisma", {"20240101_t/migration.sql": UP, "20240101_t/down.sql": DOWN}, UP, DOWN),
        (
            "drizzle",
            {"20240101000000_t/migration.sql": "SELECT 1--> statement-breakpoint\nSELECT 2"},
            "SELECT 1\n;\n\nSELECT 2\n;",
            "-- irreversible:",
        ),
        ("diesel", {"2024-01-01-000000_t/up.sql": UP, "2024-01-01-000000_t/down.sql": DOWN}, UP, DOWN),
        (
            "diesel",
            {"1_t/up.sql": UP, "1_t/down.sql": DOWN, "1_t/metadata.toml": "run_in_transaction = false"},
            f"-- transactional: false\n\n{UP}",
            f"-- transactional: false\n\n{DOWN}",
        ),
        ("sqlx", {"1_t.sql": f"-- no-transaction\n{UP}"}, "-- transactional: false", "-- irreversible:"),
        ("sqlx", {"1_t.up.sql": UP, "1_t.down.sql": DOWN}, UP, DOWN),
        ("refinery", {"a/V1__t.sql": UP}, UP, "-- irreversible:"),
        ("node-pg-migrate", {"1_t.sql": f"-- Up Migration\r\n{UP}\r\n---- down migration: b\r\n{DOWN}"}, UP, DOWN),
        ("node-pg-migrate", {"1_t.sql": f"-- Down Migration\n{DOWN}\n-- Up Migration\n{UP}"}, UP, DOWN),
        ("node-pg-migrate", {"1_t.sql": UP}, UP, "-- irreversible:"),
        ("node-pg-migrate", {"1_t.up.sql": UP, "1_t.down.sql": DOWN}, UP, DOWN),
        (
            "sqitch",
            {
                "sqitch.plan": "%project=p\nt 2024-01-01T00:00:00Z A <a@b> # t\n",
                "deploy/t.sql": f"\\set QUIET on\n{UP}",
                "revert/t.sql": DOWN,
            },
            UP,
            DOWN,
        ),
        (
            "sqitch",
            {
                "sqitch.conf": '[core]\n\ttop_dir = db\n\textension = "ddl"\n',
                "db/sqitch.plan": "t 2024-01-01T00:00:00Z A <a@b>\n",
                "db/deploy/t.ddl": UP,
                "db/revert/t.ddl": DOWN,
            },
            UP,
            DOWN,
        ),
    ],
)
def test_directions_and_marks(
    tool: str, files: Mapping[str, str], apply: str, rollback: str, read: Callable[..., Project], tmp_path: Path
) -> None:
    project = read(tool, files)
    texts = written(project, tmp_path / "ours")
    first, second = sorted(texts, key=len)
    assert project.migrations[0].without_way_back == ("irreversible" in texts[second])
    assert apply in texts[first].replace("\r", "")
    assert rollback in texts[second].replace("\r", "")
    assert ("DROP" in texts[first], "CREATE" in texts[second]) == (False, False)


@pytest.mark.parametrize(
    ("tool", "names", "ids"),
    [
        ("golang-migrate", ["2_b.up.sql", "10_c.up.sql", "1_a.up.sql"], ["01_a", "02_b", "10_c"]),
        ("golang-migrate", ["000001_a.up.sql", "20240101000000_b.up.sql"], ["000001_a", "20240101000000_b"]),
        ("goose", ["00001_a.sql", "00002_b c.sql"], ["00001_a", "00002_b_c"]),
        ("flyway", ["V1__a.sql", "V1.1__b.sql", "V1_10__c.sql", "V2__d.sql"], ["1.00_a", "1.01_b", "1.10_c", "2.00_d"]),
        ("flyway", ["V2__b.sql", "V10__c c.sql", "sub/V1__a.sql"], ["0001_a", "0002_b", "0010_c_c"]),
        ("flyway", ["V2.sql", "V1__a.SQL", "V3__.Sql"], ["0001_a", "0002_migration", "0003_migration"]),
        ("golang-migrate", ["1_a.up.pgsql", "2_b.c.up.sql"], ["1_a", "2_b.c"]),
        ("dbmate", ["2_b.sql", "10_a.sql"], ["10_a", "2_b"]),  # as dbmate does, by name
        ("diesel", ["2019-02-26-1_b/up.sql", "00000000000000_a/up.sql"], ["00000000000000_a", "2019-02-26-1_b"]),
        ("diesel", ["2019-02-26_b/up.sql", "20190101_a/up.sql"], ["20190101_a", "20190226_b"]),
        ("sqlx", ["10_b.sql", "2_a-x.sql", "README.sql"], ["02_a-x", "10_b"]),
        ("refinery", ["V10__c.sql", "V2__a.sql", "sub/U3__b.sql"], ["0002_a", "0003_b", "0010_c"]),
        # A date of 17 digits is later than the milliseconds of a day before.
        (
            "node-pg-migrate",
            ["20200101000000000_b.sql", "1500000000000_a.sql", "1600000000000_c.sql"],
            ["0001_1500000000000_a", "0002_20200101000000000_b", "0003_1600000000000_c"],
        ),
    ],
)
def test_ids_keep_the_order_of_the_tool(
    tool: str, names: list[str], ids: list[str], read: Callable[..., Project], tmp_path: Path
) -> None:
    marks = {"goose": "-- +goose Up\n", "dbmate": "-- migrate:up\n"}
    project = read(tool, {name: marks.get(tool, "") + UP for name in names})
    assert [migration.id for migration in project.migrations] == ids
    written(project, tmp_path / "ours")
    # Versions that begin with one number are no branches.
    assert len(plan.heads(plan.order(reader.read([str(tmp_path / "ours")]).migrations))) == 1


@pytest.mark.parametrize(
    ("tool", "files", "words"),
    [
        ("dbmate", {"1_t.sql": UP}, 'theirs/1_t.sql: no "-- migrate:up" line'),
        ("dbmate", {"README.md": ""}, "holds no migration of dbmate"),
        (
            "dbmate",
            {"1_a.sql": f"-- migrate:up\n{UP}", "1_b.sql": f"-- migrate:up\n{UP}"},
            "1_a.sql and 1_b.sql have the same version 1",
        ),
        ("goose", {"1_t.sql": UP}, 'theirs/1_t.sql: no "-- +goose Up" line'),
        ("golang-migrate", {"1_a.up.sql": UP, "01_b.up.sql": UP}, "have the same version 1"),
        ("flyway", {"V1__a.sql": UP, "V1.0__b.sql": UP}, "have the same version"),
        ("diesel", {"2024-01-01_a/up.sql": UP, "20240101_b/up.sql": UP}, "have the same version 20240101"),
        ("diesel", {"1_a/up.sql": UP, "1_a/metadata.toml": "run_in"}, "1_a/metadata.toml: "),
        ("sqlx", {"1_a.sql": UP, "01_b.up.sql": UP}, "have the same version 1"),
        ("sqlx", {"1_a.up.sql": UP, "1_a.down.sql": UP, "01_b.down.sql": UP}, "have the same version 1"),
        ("refinery", {"V1__a.sql": UP, "U1__b.sql": UP}, "have the same version 1"),
        ("node-pg-migrate", {"1_a.sql": UP, "1_a.up.sql": UP}, "have the same version 1_a"),
        ("sqitch", {"deploy/t.sql": UP}, "there is no"),
        ("sqitch", {"sqitch.plan": "t 2024-01-01T00:00:00Z A <a@b>\n"}, "the change t has no script"),
        ("drizzle", {"0000_a.sql": UP}, "name Drizzle's folder"),
        ("drizzle", {"meta/_journal.json": "{"}, "is no journal of drizzle-kit"),
        (
            "django",
            {"0001_initial.py": ""},
            "migrate a database with Django, write its schema with `pgyoyo import database",
        ),
        ("alembic", {"upgrade.sql": UP}, 'has no line "-- Running upgrade"; write it with `alembic upgrade head --sql'),
    ],
)
def test_what_the_tool_would_not_read_is_refused(
    tool: str, files: Mapping[str, str], words: str, read: Callable[..., Project]
) -> None:
    with pytest.raises(UsageError) as caught:
        read(tool, files)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("tool", "files", "words"),
    [
        ("dbmate", {"1_t.sql": f"-- migrate:up\n{UP}\n-- migrate:up\n{UP}\n"}, "applies only its first"),
        ("goose", {"1_t.sql": f"-- +goose Up\n{UP}", "2_b.go": ""}, "2_b.go is Go code"),
        ("goose", {"1_t.sql": f"-- +goose ENVSUB ON\n-- +goose Up\n{UP}"}, "goose puts the environment in place"),
        ("golang-migrate", {"1_t.up.sql": UP, "2_b.down.sql": UP}, "2_b.down.sql has no .up file beside it"),
        ("flyway", {"V1__t.sql": "CREATE TABLE ${name} ();"}, "Flyway puts a value in place of ${name}"),
        ("flyway", {"V1__t.sql": UP, "B1__t.sql": UP}, "B1__t.sql is a baseline"),
        ("flyway", {"V1__t.sql": UP, "beforeMigrate.sql": UP}, "is a callback"),
        ("prisma", {"1_t/migration.sql": UP, "2_b/x": ""}, "2_b has no migration.sql"),
        ("diesel", {"1_t/up.sql": UP, "2_b/x": ""}, "2_b has no up.sql"),
        ("sqlx", {"1_t.sql": UP, "2_b.down.sql": UP}, "2_b.down.sql has no file for the way up"),
        ("refinery", {"V1__t.sql": UP, "V2__b.rs": ""}, "V2__b.rs is Rust code"),
        ("node-pg-migrate", {"1_t.sql": UP, "2_b.js": "", "x.d.ts": ""}, "2_b.js is JavaScript"),
        ("node-pg-migrate", {"1_t.sql": UP, "2_b.down.sql": UP}, "2_b.down.sql has no .up.sql file"),
        (
            "sqitch",
            {"sqitch.plan": "t [other:x] 2024-01-01T00:00:00Z A <a@b>\n", "deploy/t.sql": 'CREATE TABLE :"name" ();'},
            "t requires other:x of another project",
        ),
        (
            "sqitch",
            {"sqitch.plan": "t 2024-01-01T00:00:00Z A <a@b>\n", "deploy/t.sql": 'CREATE TABLE :"name" (a int);'},
            'psql puts a value in place of :"name"',
        ),
    ],
)
def test_what_is_left_out_or_left_open_is_named(
    tool: str, files: Mapping[str, str], words: str, read: Callable[..., Project]
) -> None:
    assert [warning for warning in read(tool, files).warnings if words in warning]


@pytest.mark.parametrize("tool", tools.TOOLS)
def test_folder_without_the_files_of_a_tool_is_an_error_that_says_what_to_name(
    tool: str, tmp_path: Path, run_here: Callable
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "file.sql").write_bytes(b"\xff")
    for folder in ((), (".",), ("migrations",), ("file.sql",), ("nowhere",)):
        result = run_here("import", tool, *folder)
        assert (result.code, result.out, result.err[:7]) == (2, "", "error: ")


def test_migration_that_names_the_ledger_of_the_tool_comes_with_a_warning(tmp_path: Path, run_here: Callable) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "V1__a.sql").write_text("REVOKE ALL ON flyway_schema_history FROM PUBLIC;")
    (tmp_path / "theirs" / "V2__b.sql").write_text("CREATE TABLE schema_migrations (id int);")
    done = run_here("import", "flyway", "theirs")
    assert done.err.count("V1__a.sql names flyway_schema_history, which only flyway makes; take that out") == 1
    assert "V2__b" not in done.err


def test_repeatable_files_of_flyway_become_hooks(read: Callable[..., Project], tmp_path: Path) -> None:
    project = read("flyway", {"V1__t.sql": UP, "R__the view.sql": "CREATE OR REPLACE VIEW v AS SELECT 1;"})
    texts = written(project, tmp_path / "ours")
    assert "CREATE OR REPLACE VIEW" in texts["post-apply_the_view.sql"]
    assert [hook.id for hook in reader.read([str(tmp_path / "ours")]).hooks] == ["post-apply_the_view"]


def test_versions_are_equal_where_flyway_sees_one() -> None:
    assert version("V1.0__a.sql") == version("1") == version("U1_0_0__x.sql") < version("V1.0.1__b.sql") < version("10")


def test_nothing_is_overwritten_and_the_folder_of_the_tool_itself_is_refused(
    tmp_path: Path, run_here: Callable
) -> None:
    theirs = tmp_path / "db" / "migrations"
    theirs.mkdir(parents=True)
    (theirs / "1_t.sql").write_text(f"-- migrate:up\n{UP}")
    assert run_here("import", "dbmate", "db/migrations", "--migrations", "db/migrations").code == 2
    assert run_here("import", "dbmate").out.startswith("wrote sql/migrations/1_t.sql\n")
    result = run_here("import", "dbmate")
    assert (result.code, "sql/migrations/1_t.sql already exists" in result.err) == (2, True)


def test_transactions_of_alembic_stay_as_they_are(read: Callable[..., Project], tmp_path: Path) -> None:
    """As `transaction_per_migration` and `autocommit_block` write them, with a version table of another name."""
    own = "UPDATE app.versions SET version_num='{}' WHERE app.versions.version_num = 'x';\n"
    text = (
        "BEGIN;\n\nCREATE TABLE app.versions (\n    version_num VARCHAR(32) NOT NULL\n);\n\n"
        f"-- Running upgrade  -> a1\n\nCREATE TABLE a (id int);\n\n{own.format('a1')}\nCOMMIT;\n\nBEGIN;\n\n"
        "-- Running upgrade a1 -> b2\n\nCREATE TABLE b (id int);\n\nCREATE TABLE b2 (id int);\n\nCOMMIT;\n\n"
        f"CREATE INDEX CONCURRENTLY i ON b (id);\n\nBEGIN;\n\n{own.format('b2')}\nCOMMIT;\n\nBEGIN;\n\n"
        "-- Running upgrade b2 -> c3\n\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN NEW;\n"
        f"END;\n$$;\n\n{own.format('c3')}\nCOMMIT;\n"
    )
    texts = written(read("alembic", {"upgrade.sql": text}), tmp_path / "ours")
    assert texts["0001_a1.sql"].endswith("\n\nCREATE TABLE a (id int);\n")
    assert re.search(
        r"transactional: false\n\n(BEGIN;\n\n)?CREATE TABLE b .*\n\nCREATE TABLE b2 .*\n\n(COMMIT;\n\n)?CREATE INDEX .*\n$",
        texts["0002_b2.sql"],
    )
    assert texts["0003_c3.sql"].endswith("AS $$\nBEGIN\n  RETURN NEW;\nEND;\n$$;\n")
    assert "transactional" not in texts["0001_a1.sql"] + texts["0003_c3.sql"]
    assert list(pairs.defects(texts, tmp_path)) == []


def test_blocks_with_a_statement_between_them_run_outside_a_transaction(
    read: Callable[..., Project], tmp_path: Path
) -> None:
    script = f"BEGIN;\n{UP}\nCOMMIT;\nCREATE INDEX CONCURRENTLY i ON t (id);\n"
    texts = written(
        read("sqitch", {"sqitch.plan": "t 2024-01-01T00:00:00Z A <a@b>\n", "deploy/t.sql": script}), tmp_path / "ours"
    )
    assert re.search(
        r"-- transactional: false\n\n(BEGIN;\n)?CREATE TABLE .*\n+(COMMIT;\n)?CREATE INDEX", texts["0001_t.sql"]
    )
    assert list(pairs.defects(texts, tmp_path)) == []
