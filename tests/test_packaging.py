"""What is loaded when, what is registered, and that every command explains itself."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from importlib.metadata import distribution, entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest
import yoyo
from yoyo.backends import get_backend_class

import pgyoyo
from pgyoyo import __main__, yoyo_backend
from pgyoyo.cli import review
from pgyoyo.cli.main import TerminatedError
from pgyoyo.review import sheet

# Each costs more than a whole run with nothing to do.
HEAVY = {"yoyo", "sqlparse", "postgast", "rich", "jinja2", "google.protobuf", "importlib_metadata"}

# Runs the command line with these arguments, then tells which modules are loaded.
PROBE = """
import json, os, sys
before = set(sys.modules)
from pgyoyo.cli import main
sys.argv = ["pgyoyo", *sys.argv[1:]]
code = 0
try:
    if sys.argv[1:]:
        main.main()
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""


def loaded(*args: str | Path, code: int = 0) -> set[str]:
    """The modules that a run of the command loads, in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, args)], capture_output=True, text=True, timeout=60, check=True
    )
    ended, modules = json.loads(done.stderr.splitlines()[-1])
    assert (ended or 0) == code, done.stderr
    assert "pgyoyo.cli.main" in modules
    return set(modules)


# --- What is loaded ---


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    assert loaded() & (HEAVY | {"psycopg"}) == set()


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["new", "--help"]])
def test_help_loads_no_database_driver(args: list[str]) -> None:
    assert loaded(*args) & (HEAVY | {"psycopg"}) == set()


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_of_the_command_line_loads_no_command(args: list[str]) -> None:
    ours = {name.removeprefix("pgyoyo.") for name in loaded(*args) if name.startswith("pgyoyo.")}
    assert ours == {"cli", "cli.main", "errors", "gate", "text"}


def test_help_of_review_loads_no_more_than_its_options() -> None:
    ours = {name.removeprefix("pgyoyo.") for name in loaded("review", "--help") if name.startswith("pgyoyo.")}
    assert ours == {"cli", "cli.main", "cli.options", "cli.review", "errors", "gate", "text", "units"}
    assert (*sheet.SEVERITIES, "never") == review.FAIL_ON


@pytest.mark.parametrize("name", ["apply", "status", "mark"])
def test_help_of_a_command_loads_no_more_than_a_run_with_nothing_to_do(name: str) -> None:
    assert loaded(name, "--help") & HEAVY == set()


def test_new_loads_no_database_driver(tmp_path: Path) -> None:
    modules = loaded("new", "add_grade", "--migrations", tmp_path / "sql")
    assert modules & (HEAVY | {"psycopg"}) == set()
    assert (tmp_path / "sql" / "0001_add_grade.sql").exists()


def test_run_with_nothing_to_do_loads_nothing_heavy(tmp_path: Path, database: str, run_here) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    (tmp_path / "0002_b.sql").write_text("-- depends: 0001_a\nCREATE TABLE b ();")
    options = ["--database", database, "--migrations", tmp_path]
    assert run_here("apply", *options).code == 0
    for args in (["status"], ["status", "--format", "json"], ["apply"]):
        modules = loaded(*args, *options)
        assert "psycopg" in modules
        assert modules & HEAVY == set()
    # The test sees what it has to: a run with something to do needs yoyo, and a word that may mean more the parser.
    (tmp_path / "0003_c.sql").write_text("CREATE TABLE c ();")
    modules = loaded("apply", *options)
    assert "yoyo" in modules
    assert "postgast" not in modules
    (tmp_path / "0004_d.sql").write_text("CREATE TABLE d ();\nCOMMENT ON TABLE d IS 'The end';")
    assert {"yoyo", "postgast"} <= loaded("apply", *options)


def test_status_loads_these_modules_of_ours_and_of_others_and_no_more(tmp_path: Path, database: str, run_here) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    options = ["--database", database, "--migrations", tmp_path]
    assert run_here("apply", *options).code == 0
    modules = loaded("status", *options)
    ours = {name.removeprefix("pgyoyo.") for name in modules if name.startswith("pgyoyo.")}
    assert ours == {
        "backfill", "cli", "engine", "importing", "migrations", "migrations.python", "scratch", "server", "sql",
        "backfill.pacing", "cli.config", "cli.context", "cli.main", "cli.options", "cli.status", "configuration", "console",
        "engine.blockers", "engine.connection", "engine.drift", "engine.encoding", "engine.failures", "engine.ledger",
        "engine.literals", "engine.lock", "engine.message", "engine.partition_refusals", "engine.parts", "engine.pooler",
        "engine.read_only",
        "engine.renewal", "engine.retry", "engine.url", "engine.which_ledger", "engine.wire", "errors", "gate", "history",
        "identifiers",
        "migrations.checks", "migrations.foreign", "migrations.migration", "migrations.names", "migrations.places",
        "migrations.plan", "migrations.reader", "migrations.status", "migrator", "plain_file", "preflight", "queries",
        "run_state", "server.libpq", "settings", "sql.header", "sql.lexer", "sql.script", "text", "units", "work",
    }  # fmt: skip
    others = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"pgyoyo"}
    # Cython's come with the compiled psycopg.
    known = {"cython_runtime", "psycopg_binary", "click", "psycopg", "typing_extensions"}
    assert {name for name in others if not name.startswith("_")} <= known


# --- What is registered ---


def test_entry_points_lead_to_the_command_and_the_backend() -> None:
    [backends] = entry_points(group="yoyo.backends", name="postgresql+pgyoyo")
    assert backends.load() is yoyo_backend.Backend
    assert get_backend_class("postgresql+pgyoyo") is yoyo_backend.Backend
    [script] = entry_points(group="console_scripts", name="pgyoyo")
    assert script.load() is __main__.run


def test_yoyo_is_the_version_whose_internals_are_extended() -> None:
    assert [need for need in distribution("pgyoyo").requires or [] if "yoyo" in need and "extra" not in need] == [
        f"yoyo-migrations=={yoyo.__version__}"
    ]


def test_version_is_the_packages_and_the_command_says_it(run) -> None:
    assert distribution("pgyoyo").version == pgyoyo.__version__
    assert run("--version").out == f"pgyoyo, version {pgyoyo.__version__}\n"


def test_sql_files_stand_beside_the_modules_that_read_them() -> None:
    folder = Path(pgyoyo.__file__).parent
    used = set()
    for path in folder.rglob("*.py"):
        text = path.read_text()
        names = re.findall(r'with_name\("(\w+\.(?:sql|toml|jinja))"\)', text)
        for files in re.findall(r"_FILES = \((.*)\)", text):
            names += re.findall(r'"(\w+\.sql)"', files)
        for name in names:
            assert path.with_name(name).stat().st_size > 0
            used.add(path.with_name(name))
    assert {folder / "engine" / "ledger.sql", folder / "backfill" / "state.sql"} <= used


# --- Which Python it runs on ---

# A group, or a piece of a pattern put in by an f-string, whose repetition gives nothing back; and an atomic group.
POSSESSIVE = re.compile(r"(?<!\\)[)}](?:[*+?]|\{{1,2}\d*,?\d*\}{1,2})\+|\(\?>")


@pytest.mark.parametrize("text", ["(?:ab?c)++", "(a|b)*+", "(ab)?+", "(ab){2,3}+", "(ab){{2}}+", "{NAME}*+", "(?>ab)"])
def test_possessive_group_is_seen(text: str) -> None:
    assert POSSESSIVE.search(text)


@pytest.mark.parametrize("text", [r"[^()]*+", r"\)++", "(?:a++|b)+", "a{2,3}+", "{{0,7}}[ ]*+", "(ab){1,2}"])
def test_possessive_run_of_single_characters_is_none(text: str) -> None:
    assert POSSESSIVE.search(text) is None


def test_no_pattern_repeats_a_group_possessively() -> None:
    # Python before 3.11.5 gets it wrong (gh-106052), and Debian 12 ships 3.11.2.
    sources = {path: path.read_text() for path in Path(pgyoyo.__file__).parent.rglob("*.py")}
    assert [(path.name, match[0]) for path, text in sources.items() for match in POSSESSIVE.finditer(text)] == []
    assert sum("*+" in text for text in sources.values()) > 1, "the patterns stand elsewhere"


def test_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "pgyoyo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pgyoyo, version {pgyoyo.__version__}\n"


@pytest.mark.parametrize(
    ("error", "sent"),
    [(KeyboardInterrupt(), [signal.SIGINT]), (TerminatedError(), [signal.SIGTERM]), (ValueError(), [])],
)
def test_interrupt_that_python_would_drop_comes_again(
    error: BaseException, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    came, shown = [], []
    monkeypatch.setattr(os, "kill", lambda pid, number: came.append((pid, number)))
    monkeypatch.setattr(sys, "__unraisablehook__", shown.append)
    unraisable = SimpleNamespace(exc_value=error)
    __main__.come_again(unraisable)  # type: ignore[arg-type]
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
    assert came == [(os.getpid(), number) for number in sent]
    assert shown == ([] if sent else [unraisable])
