"""schema.sql and schema.md: true, the same on every run, loadable, and of few conflicts."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pgyoyo.catalog import snapshot
from pgyoyo.errors import DriftError, PgyoyoError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.schema import files, page
from pgyoyo.schema.page import Column, Table
from pgyoyo.server import psql
from pgyoyo.server.postgres import EmbeddedServer

ROOT = Path(__file__).parents[2]
EVERYTHING = (ROOT / "tests" / "catalog" / "everything.sql").read_text()
# The ledger's tables are there already; and of the handler of a language pg_dump keeps nothing where pg_catalog has it.
EVERYTHING = EVERYTHING.partition("-- What the rows leave out")[0].replace("CREATE LANGUAGE speech", "-- ")

ODD = r"""
CREATE TABLE "pk" (pk integer PRIMARY KEY, uk integer UNIQUE, "1st" timestamp(3) with time zone,
  "a|b`c\d" text DEFAULT E'x|`\\y', "größe" numeric(10, 2)[], "日本" varchar(3), "a ""quoted"", one" "char");
CREATE TABLE "one" (a integer REFERENCES pk, b integer NOT NULL UNIQUE REFERENCES pk (uk), d integer NOT NULL REFERENCES pk);
CREATE UNIQUE INDEX one_d_idx ON one (d);
COMMENT ON TABLE one IS '# no heading | and * no _list_, [no](link) <b>';
COMMENT ON COLUMN one.a IS E'two\n\nlines in snake_case\\';
CREATE TABLE "a.b % ""c"" \ `d` |; <i>#1</i>" (x integer PRIMARY KEY, y integer REFERENCES "a.b % ""c"" \ `d` |; <i>#1</i>");
CREATE TABLE nothing ();
CREATE TABLE aaa (x integer) USING heap2;
CREATE TABLE zzz (x integer) USING heap2;
CREATE VIEW v AS SELECT a, 'x|y' AS b FROM one;
CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA;
CREATE MATERIALIZED VIEW a_filled AS SELECT * FROM app.dear_copy;
CREATE FUNCTION body() RETURNS text LANGUAGE sql AS $$

SELECT 'SET default_tablespace = x;



SET transaction_timeout = 0;
--
-- a comment'
$$;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sql" / "migrations"


@pytest.fixture
def build(folder: Path, server_conninfo: str) -> Callable[..., dict[str, str]]:
    """Writes the migrations NNNN_NAME, and returns the texts of the two files."""

    def build(**texts: str) -> dict[str, str]:
        write(folder, **texts)
        made = files.build(reader.read([str(folder)]), server_conninfo, folder.parent)
        return {path.name: text for path, text in made.items()}

    return build


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, server_conninfo: str) -> dict[str, str]:
    """The two files of a schema with every kind of object, and odd names."""
    folder = tmp_path_factory.mktemp("everything") / "migrations"
    write(folder, m1_everything=EVERYTHING, m2_odd=ODD)
    made = files.build(reader.read([str(folder)]), server_conninfo, folder.parent)
    return {path.name: text for path, text in made.items()}


@pytest.fixture
def command(run_here, folder: Path, server_conninfo: str):
    return lambda *options: run_here("schema", "--migrations", folder, "--scratch", server_conninfo, *options)


def write(folder: Path, **texts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in texts.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(text)


def lines(page: str, start: str) -> list[str]:
    return [line for line in page.splitlines() if line.strip().startswith(start)]


def section(page: str, title: str) -> str:
    return re.split("^##+ ", page.partition(f"{title}\n")[2], flags=re.MULTILINE)[0]


# --- True ---


def test_files_of_this_project_are_what_its_migrations_give(run_here, server_conninfo: str) -> None:
    result = run_here("schema", "--check", "--scratch", server_conninfo, cwd=ROOT)
    assert (result.code, result.err) == (0, "")
    assert result.out == "sql/schema.sql is up to date\nsql/schema.md is up to date\n"


def test_psql_loads_the_file_to_the_same_catalog(everything, tmp_path: Path, new_database) -> None:
    file = tmp_path / "schema.sql"
    file.write_text(everything["schema.sql"])
    loaded, migrated = new_database(), new_database()
    program = EmbeddedServer(Path(), version=18).binary("psql")
    done = subprocess.run(
        [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file],
        env=psql.environment(loaded, os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, "ERROR" in done.stderr) == (0, "", False), done.stderr
    with psycopg.connect(loaded, autocommit=True) as conn:
        found = snapshot.snapshot(conn)
    with psycopg.connect(migrated, autocommit=True) as conn:
        conn.execute(EVERYTHING + ODD)
        assert snapshot.difference(snapshot.snapshot(conn), found) == []


def test_files_are_the_same_on_every_run_and_without_noise(build, everything) -> None:
    assert build(m1_everything=EVERYTHING, m2_odd=ODD) == everything
    text = everything["schema.sql"]
    for noise in ("restrict", "Dumped", "yoyo_", "Owner:", "SET statement_timeout", "OWNER TO"):
        assert noise not in text
    assert "\n\n\n" not in text.replace("\n\n\n\nSET transaction_timeout", "")  # which stands in a function
    assert text.count("SET default_tablespace") == 2
    assert re.findall("SET default_table_access_method = (.*);", text) == ["heap", "heap2", "heap", "heap2"]


def test_schema_without_an_object_is_titles_alone(build) -> None:
    texts = build(m1_nothing="SELECT 1;")
    assert texts["schema.sql"] == "\n".join([files.SQL_HEAD, *(f"-- {title}\n" for title in files.SECTIONS)])
    assert texts["schema.md"] == page.HEAD


# --- The page ---


def test_page_tells_which_migration_made_or_changed_each_thing_last(build) -> None:
    page = build(
        m1_a="CREATE TABLE a (i integer, t text, gone text); CREATE TABLE b (); CREATE INDEX a_i_idx ON a (i)",
        m2_b="ALTER TABLE a ALTER t SET NOT NULL; COMMENT ON TABLE a IS 'things'; ALTER TABLE b RENAME TO c",
        m3_c="COMMENT ON COLUMN a.i IS 'a number'; ALTER TABLE a ADD n integer DEFAULT 7, DROP gone; DROP INDEX a_i_idx",
        m4_d="CREATE INDEX a_i_idx ON a (i)",
    )["schema.md"]
    a = section(page, "### a")
    assert a.split("\n")[1] == "Made by [1_a](migrations/1_a.sql), changed by [2_b](migrations/2_b.sql). things"
    assert lines(a, "| i ") == ["| i | `integer` |  |  | a number | [3](migrations/3_c.sql) |"]
    assert lines(a, "| t ") == ["| t | `text` | NOT NULL |  |  | [2](migrations/2_b.sql) |"]
    assert lines(a, "| n ") == ["| n | `integer` |  | `7` |  | [3](migrations/3_c.sql) |"]
    assert lines(a, "| a_i_idx") == ["| a_i_idx | `INDEX USING btree (i)` |  | [4](migrations/4_d.sql) |"]
    assert "Made by [2_b]" in section(page, "### c")
    assert "gone" not in page


def test_page_has_every_kind_of_object_once(everything) -> None:
    page = everything["schema.md"]
    item = section(page, "### app.item")
    assert "| `GENERATED ALWAYS AS IDENTITY` |" in item
    assert "| item_price_check | `CHECK ((price > (0)::numeric))` | nothing is free |" in item
    assert "| app.item_old_id_idx | `UNIQUE INDEX USING btree (old_id)` |" in item
    assert "| item_row | `TRIGGER BEFORE UPDATE FOR EACH ROW EXECUTE FUNCTION app.on_row()` | checks the row |" in item
    assert "| item_mine | `POLICY PERMISSIVE FOR SELECT TO pg_monitor USING ((owner_id = 1))` | only my own |" in item
    assert "`PARTITION OF app.log DEFAULT`" in section(page, "### app.log_rest")
    assert "| column |" not in section(page, "### app.log_rest")
    assert "| app.status | `ENUM ('new', 'open', 'done')` | how far it is |" in section(page, "## Types")
    assert "| app.f(bigint) | `RETURNS bigint LANGUAGE sql` |" in section(page, "## Functions")
    assert "| app.dear_copy_idx |" in section(page, "## Indexes")
    titles = [title for title in lines(page, "## ") if not title.endswith("s")]
    assert titles == ["## Diagram"]
    assert "## Operator families" in page
    assert "## Statistics\n" in page
    assert "hunter2" not in page


def test_names_and_texts_are_nothing_to_markdown(everything) -> None:
    page = everything["schema.md"]
    assert r"\# no" not in page
    assert r". # no heading \| and \* no \_list\_, \[no\](link) \<b\>" in page
    assert r"| two lines in snake_case\\ |" in page
    assert r'| "a\|b\`c\\d" | `text` |  | <code>' + "'x&#124;&#96;&#92;y'::text</code> |" in page
    # The bars that are not escaped part the cells: as many in each row of a table.
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in table.splitlines()}) == 1, table


NAME = r'"[\w .,$-]+"'
DIAGRAM = re.compile(
    rf"    {NAME} \{{|        [A-Za-z_][\w()\[\]]* [A-Za-z_][\w()\[\]]*(?: (?:PK|FK|UK)(?:, (?:FK|UK))*)?|    \}}"
    rf"|    {NAME} (?:\|\||\|o)--(?:o\||o\{{) {NAME} : {NAME}",
    re.ASCII,
)


def test_diagram_is_as_mermaid_takes_it(everything) -> None:
    page = everything["schema.md"]
    diagram = re.search("```mermaid\nerDiagram\n(.*?)\n```\n", page, re.DOTALL)
    assert diagram
    assert [line for line in diagram[1].split("\n") if not DIAGRAM.fullmatch(line)] == []
    for line in (
        '    "pk" |o--o{ "one" : "a"',
        '    "pk" ||--o| "one" : "b"',
        '    "pk" ||--o| "one" : "d"',
        "        integer b FK, UK",
        "        integer _pk PK",
        "        timestamptz(3) _1st",
        "        numeric[] gro_e",
        "        app_status status",
        '    "a.b _ c _ _d_ __ _i__1__i_" |o--o{ "a.b _ c _ _d_ __ _i__1__i_" : "y"',
    ):
        assert line in diagram[1].split("\n")
    assert "app.log_2026" not in diagram[1]


def test_large_diagram_shows_keys_only_then_boxes_only_then_nothing() -> None:
    def diagram(tables: int, columns: int, foreign: int) -> str:
        names = [f"column_{n}" for n in range(columns)]
        shown = tuple(Column(name, "integer", True, "") for name in names)
        unique = (("PRIMARY KEY", frozenset(names[:2])),)
        references = tuple(((name,), "public.t0") for name in names[:foreign])
        identities = [f"public.t{n}" for n in range(tables)]
        return page._diagram([Table("table", name, "", shown, (), unique, references) for name in identities])

    assert "column_9" in diagram(10, 10, 1)
    assert "column_9" not in diagram(300, 10, 1)
    assert "column_1 PK" in diagram(300, 10, 1)
    assert "column_1 PK" not in diagram(490, 10, 1)
    assert '"t0" |o--o{ "t489"' in diagram(490, 10, 1)
    assert diagram(501, 1, 1) == diagram(5000, 1, 0) == "There are too many tables here for GitHub to draw them.\n"


# --- The command ---


def test_check_says_what_differs_and_writes_nothing(command, folder: Path) -> None:
    write(folder, m1_a="CREATE TABLE a (i integer);")
    file, page = folder.parent / "schema.sql", folder.parent / "schema.md"
    assert command().out == f"wrote {file}\nwrote {page}\n"
    assert command("--check").out == f"{file} is up to date\n{page} is up to date\n"
    before = file.read_bytes()
    write(folder, m1_a="CREATE TABLE a (i bigint);")
    page.unlink()
    changed = command("--check")
    assert (changed.code, changed.out, file.read_bytes(), page.exists()) == (4, "", before, False)
    assert changed.err.startswith(
        f"error: {file} is not what the migrations give\n--- {file}\n+++ after all migrations\n"
    )
    assert "\n-    i integer\n+    i bigint\n" in changed.err
    assert changed.err.endswith(
        f"\n{page} is not there\nRun pgyoyo schema, look at what changed, and commit it with the migration.\n"
    )


def test_check_is_short_and_takes_either_kind_of_line_end(tmp_path: Path) -> None:
    made = {tmp_path / "schema.sql": files.SQL_HEAD + "a\n" * 100, tmp_path / "schema.md": page.HEAD}
    assert files.write(made) == list(made)
    assert files.write(made) == []
    for path in made:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    files.check(made)
    with pytest.raises(DriftError) as caught:
        files.check({tmp_path / "schema.sql": files.SQL_HEAD})
    assert len(str(caught.value).splitlines()) == files.SHOWN_LINES + 3
    assert re.search(r"\n… 6\d more lines\n", str(caught.value))


def test_failing_migration_is_told_as_by_apply_and_leaves_nothing(
    command, run_here, folder: Path, database: str
) -> None:
    write(folder, m1_a="CREATE TABLE a ();\n", m2_b="CREATE TABLE b ();\nSELECT 1/0;\n")
    failed = command()
    applied = run_here("apply", "--database", database, "--migrations", folder)
    assert (failed.code, applied.code) == (1, 1)
    told, last = applied.err.removesuffix("\n").rsplit("\n", 1)
    assert "2_b.sql:2" in told
    assert "remains applied" in last
    assert failed.err == f"{told}\nNothing was written. Fix the file, then run pgyoyo schema again.\n"
    write(folder, m1_a="DO $$ BEGIN RAISE insufficient_privilege; END $$;\n")
    assert command().err.endswith("\nNothing was written. Grant the privilege, then run pgyoyo schema again.\n")
    assert list(folder.parent.iterdir()) == [folder]


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "schema.md"
    mine.write_text("# Mine\n")
    with pytest.raises(UsageError, match=r"schema\.md was not written by pgyoyo schema"):
        files.write({tmp_path / "schema.sql": files.SQL_HEAD, mine: page.HEAD})
    assert list(tmp_path.iterdir()) == [mine]
    for act in (files.write, files.check):
        with pytest.raises(
            UsageError, match=r"(Not a directory|it is a folder, not a file); give another folder: --output FOLDER"
        ):
            act({mine / "schema.sql": files.SQL_HEAD, tmp_path: page.HEAD})


def test_output_is_another_folder_but_none_of_migrations(command, folder: Path) -> None:
    write(folder, m1_a="CREATE TABLE a ();")
    assert command("--output", folder.parent / "else where").code == 0
    assert "(../migrations/1_a.sql)" in (folder.parent / "else where" / "schema.md").read_text()
    inside = command("--output", folder)
    assert (inside.code, "schema.sql would be a migration" in inside.err) == (2, True)


def test_hooks_run_once_after_the_last_migration(build) -> None:
    texts = {
        "m1_a": "CREATE TABLE a ();",
        "m2_b": "CREATE TABLE b ();",
        "post-apply": "CREATE VIEW v AS SELECT FROM b;",
    }
    assert "CREATE VIEW public.v" in build(**texts)["schema.sql"]


def test_settings_that_a_migration_leaves_don_t_change_the_file(build) -> None:
    change = "".join(
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); END $$;"
        for setting in ("timezone = ''Asia/Tokyo''", "quote_all_identifiers = on", "standard_conforming_strings = off")
    )
    table = r"CREATE TABLE a (at timestamptz DEFAULT '2026-01-01 00:00:00+00', b text DEFAULT E'\\');"
    assert build(m1_change=change, m2_a=table)["schema.sql"] == build(m1_change="SELECT 1;", m2_a=table)["schema.sql"]


def test_pg_dump_gets_the_password_through_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict] = []

    def run(command: list, **options) -> subprocess.CompletedProcess:
        seen.append({"command": command, **options})
        return subprocess.CompletedProcess(command, 1, b"", b'role "hunter2" is not there')

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(PgyoyoError) as caught:
        files.dump("host=h user=ann password=hunter2 dbname=d fallback_application_name=pgyoyo")
    assert str(caught.value) == 'pg_dump failed:\nrole "***" is not there'
    assert not any("hunter2" in str(word) for word in seen[0]["command"])
    assert (seen[0]["env"]["PGPASSWORD"], seen[0]["env"]["PGDATABASE"]) == ("hunter2", "d")


# --- Branches ---

BASE = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customer (id integer PRIMARY KEY, name text);
CREATE TABLE invoice (id integer PRIMARY KEY, customer_id integer REFERENCES customer);
CREATE TABLE product (id integer PRIMARY KEY, name text);
"""


def merge(tmp_path: Path, *texts: str) -> tuple[int, str]:
    """What git makes of ours, base and theirs: the number of conflicts, and the text."""
    files = [tmp_path / name for name in ("ours", "base", "theirs")]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    done = subprocess.run(["git", "merge-file", "-p", *files], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_two_branches_that_add_a_migration_each_merge_without_a_conflict(build, tmp_path: Path) -> None:
    ours = {
        "m2_ours": "ALTER TABLE customer ADD mood mood; CREATE TABLE address (customer_id integer REFERENCES customer);"
    }
    theirs = {"m2_theirs": "CREATE TABLE note (product_id integer REFERENCES product); CREATE INDEX ON product (name);"}
    base, left, right, both = (build(m1_base=BASE, **more) for more in ({}, ours, theirs, ours | theirs))
    for name in base:
        assert merge(tmp_path, left[name], base[name], right[name]) == (0, both[name])


def test_branches_that_add_a_column_to_one_table_conflict_there_alone(build, tmp_path: Path) -> None:
    ours, theirs = {"m2_ours": "ALTER TABLE customer ADD a text;"}, {"m2_theirs": "ALTER TABLE customer ADD b text;"}
    base, left, right = (build(m1_base=BASE, **more) for more in ({}, ours, theirs))
    for name, conflicts in (("schema.sql", 1), ("schema.md", 2)):
        found, text = merge(tmp_path, left[name], base[name], right[name])
        assert found == conflicts
        assert max(len(part.splitlines()) for part in re.findall("<<<<<<<(.*?)>>>>>>>", text, re.DOTALL)) < 8


def test_rights_that_every_database_of_14_has_are_left_out() -> None:
    def entry(name: str, kind: str, text: str) -> str:
        return f"\n\n--\n-- Name: {name}; Type: {kind}; Schema: -; Owner: -\n--\n\n{text}\n"

    own = "REVOKE USAGE ON SCHEMA public FROM PUBLIC;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n"
    dump = entry("public", "SCHEMA", "-- *not* creating schema, since initdb creates it\n\n")
    end = "\n--\n-- PostgreSQL database dump complete\n--\n"
    empty = files.strip(end)
    assert files.strip(dump + entry("SCHEMA public", "ACL", own) + end) == empty
    text = files.strip(dump + entry("SCHEMA public", "ACL", f"{own}GRANT USAGE ON SCHEMA public TO reader;\n") + end)
    assert text == f"{empty}\nGRANT USAGE ON SCHEMA public TO reader;\n"
