"""review --fleet and sizes --fleet: one sheet for all members, with the largest table, the median and the sum."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from pgyoyo.cli import fleet_rows
from pgyoyo.review.live_checks import Answer
from pgyoyo.review.live_queries import Asked
from pgyoyo.review.sheet import LiveTable, Spread
from pgyoyo.review.spread import Tables

SETTINGS = """
[tool.pgyoyo]
migrations = ["sql"]
[[tool.pgyoyo.fleet]]
name = "tenants"
schemas = ["public", "t_1", "t_2", "t_Über 3"]
canary = 0
groups = [{ name = "shared", match = "public", migrations = ["shared"] }]
[[tool.pgyoyo.fleet]]
name = "shards"
databases = "list.txt"
"""


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, (text, back) in files.items():
        (folder / f"{name}.sql").write_text(text)
        (folder / f"{name}.rollback.sql").write_text(back)


@pytest.fixture
def fleet(
    run_here: Any, database: str, conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A project with tenants that share a type, of which the third is largest; runs a command in it."""
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    write(tmp_path / "shared", {"0001_init": ("CREATE TYPE kind AS ENUM ('a');", "DROP TYPE kind;")})
    write(tmp_path / "sql", {"0001_init": ("CREATE TABLE t (id bigint, k public.kind);", "DROP TABLE t;")})
    (tmp_path / "list.txt").write_text(f"{database}\n{make_conninfo(database, dbname='no_such_database_here')}\n")
    monkeypatch.chdir(tmp_path)
    conn.execute('CREATE SCHEMA t_1; CREATE SCHEMA t_2; CREATE SCHEMA "t_Über 3"')
    assert run_here("fleet", "apply", "tenants", "--database", database, "-q").code == 0
    for schema, rows in (("t_1", 1), ("t_2", 30), ('"t_Über 3"', 40_000)):
        conn.execute(
            f"INSERT INTO {schema}.t SELECT n FROM generate_series(1, {rows}) AS n; ANALYZE {schema}.t".encode()
        )
    write(tmp_path / "sql", {"0002_i": ("CREATE INDEX i ON t (id);", "DROP INDEX i;")})

    def call(*args: str) -> Any:
        scratch = ["--scratch", database] if args[0] == "review" else []
        return run_here(*args, "--database", database, *scratch)

    return call


def test_a_sheet_stands_for_all_members_with_the_largest_the_median_and_the_sum(
    fleet: Callable[..., Any], tmp_path: Path
) -> None:
    shown = fleet("review", "--fleet", "tenants", "--small", "1MB")
    assert shown.code == 1, shown.err
    words = " ".join(shown.out.split())
    for line in (
        "takes SHARE on t: 3 members, largest 40,000 rows, 1.4 MB; blocks writes",
        "live t: 3 members, largest 40,000 rows, 1.4 MB, 0 indexes; the largest in t_Über 3; median 30 rows, 8 kB",
        "; all together 40,031 rows, 1.4 MB",
        "also pending at 3 of 3 members",
        "Sizes of the fleet tenants, the largest of 3 members.",
    ):
        assert line in words, words
    for layout, line in (("markdown", "3 members, largest 40,000 rows"), ("html", "3 members, largest:")):
        assert line in fleet("review", "--fleet", "tenants", "--format", layout).out
    done = fleet("review", "--fleet", "tenants", "--format", "json", "--small", "2MB", "--fail-on-lock", "0.1ms")
    [migration] = json.loads(done.out)["migrations"]
    spread = migration["live"]["public.t"]["fleet"]
    assert (spread["members"], spread["largest"], spread["median_rows"], spread["total_rows"]) == (
        3,
        "t_Über 3",
        30,
        40031,
    )
    assert (migration["worst"], done.code, "more than --fail-on-lock" in done.err) == ("note", 1, True)
    assert fleet("fleet", "apply", "tenants", "-q").code == 0
    assert "nothing is pending at any member" in fleet("review", "--fleet", "tenants").out


def test_rows_that_members_refuse_are_counted_at_all_of_them(
    fleet: Callable[..., Any], conn: Connection, tmp_path: Path
) -> None:
    conn.execute(
        "CREATE TABLE public.parent (id bigint PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 50000)"
    )
    conn.execute("""UPDATE t_1.t SET id = NULL; INSERT INTO "t_Über 3".t VALUES (7), (-1)""")
    files = {
        "0002_n": ("ALTER TABLE t ALTER COLUMN id SET NOT NULL;", "ALTER TABLE t ALTER COLUMN id DROP NOT NULL;"),
        "0003_u": ("CREATE UNIQUE INDEX u ON t (id);", "DROP INDEX u;"),
    }
    for name in ("0002_i.sql", "0002_i.rollback.sql"):
        (tmp_path / "sql" / name).unlink()
    write(tmp_path / "sql", files)
    done = fleet("review", "--fleet", "tenants", "--format", "json")
    found = [
        (migration["id"], finding["severity"], finding["happens"])
        for migration in json.loads(done.out)["migrations"]
        for finding in migration["findings"]
        if finding["rule"] == "live-rows-refused"
    ]
    assert found == [
        ("0002_n", "error", "rows of 1 of 3 members, t_1 (1 row): NULL in t.id"),
        ("0003_u", "error", "rows of 1 of 3 members, t_Über 3 (1 key): more than one row of t with the same id"),
    ], done.err


def test_schema_is_left_out_before_a_table_and_not_at_the_end_of_another_name() -> None:
    words = "ta.data.x, y points to no row of ta.ta"
    answer = Answer(cast("Any", None), cast("Any", None), Asked(("ta", "data"), words, ""), 1, "", changes=False)
    [alike] = fleet_rows._alike(iter([answer]), "ta")
    assert alike.ask.words == "data.x, y points to no row of ta"


def test_members_that_use_what_they_share_are_compared_with_it(
    fleet: Callable[..., Any], run_here: Any, database: str, conn: Connection
) -> None:
    verify = ["fleet", "verify", "tenants", "--database", database, "--scratch", database]
    assert run_here(*verify).out == "tenants: 4 of 4 members agree with the files\n"
    conn.execute("ALTER TABLE t_1.t ALTER COLUMN k TYPE text")
    done = run_here(*verify, "--format", "json")
    members = {each["member"]: each for each in map(json.loads, done.out.splitlines())}
    assert (done.code, [name for name in members if members[name]["differences"]]) == (4, ["t_1"])
    assert {each["fault"] for each in members.values()} == {None}
    assert run_here("fleet", "rollback", "tenants", "--database", database, "--yes", "-q").code == 0
    assert run_here(*verify).out == "tenants: 4 of 4 members agree with the files\n"


def test_file_of_a_fleets_sizes_stands_for_its_members_without_a_login_and_without_their_names(
    fleet: Callable[..., Any], run_here: Any, database: str, tmp_path: Path
) -> None:
    assert fleet("sizes", "--fleet", "tenants", "--output", "sizes.json").out == "wrote sizes.json: 1 table\n"
    text = (tmp_path / "sizes.json").read_text()
    assert "t_1" not in text
    assert "Über" not in text
    content = json.loads(text)
    assert (content["members"], content["tables"]["public.t"]["members"]) == (4, 3)
    write(tmp_path / "sql", {"0001_init": ("CREATE TABLE t (id bigint);", "DROP TABLE t;")})
    shown = run_here("review", "--sizes", "sizes.json", "--scratch", database, "2")
    assert "takes SHARE on t: 3 members, largest 40,000 rows, 1.4 MB" in " ".join(shown.out.split()), shown.err
    assert "Sizes of sizes.json, the largest of 4 members." in shown.out
    both = run_here("review", "--sizes", "sizes.json", "--fleet", "tenants")
    assert (both.code, "use either --fleet" in both.err) == (2, True)


def test_members_without_an_answer_are_named_and_where_none_answers_it_is_an_error(
    fleet: Callable[..., Any], tmp_path: Path, database: str
) -> None:
    write(tmp_path / "sql", {"0001_init": ("CREATE TABLE t (id bigint);", "DROP TABLE t;")})
    shown = fleet("review", "--fleet", "shards")
    assert shown.code == 1
    assert "no answer from 1 member: no_such_database_here: connection to server" in shown.out
    assert "also      pending at 1 of 2 members" in shown.out
    assert "no answer from 1 member" in fleet("sizes", "--fleet", "shards").err
    (tmp_path / "list.txt").write_text(f"{make_conninfo(database, dbname='no_such_database_here')}\n")
    for command in ("review", "sizes"):
        none = fleet(command, "--fleet", "shards")
        assert (none.code, "no answer from 1 member" in none.err) == (1, True)


def test_the_largest_table_is_one_members_whole_and_unknown_sizes_stay_so() -> None:
    tables = Tables()
    for name, rows, size, indexed in (("a", 10, 8192, 0), ("b", None, 16384, 0), ("c", 7, 8192, 9000)):
        tables.add(name, {"public.t": LiveTable(rows, size, 1, indexed, None, None)})
    tables.add("d", {"public.u": LiveTable(None, None, 0, None, None, None)})
    largest = tables.largest()
    assert largest["public.t"] == LiveTable(7, 8192, 1, 9000, None, None, fleet=Spread(3, "c", 7, 8192, 17, 32768))
    assert largest["public.u"].fleet == Spread(1, "d", None, None, None, None)
