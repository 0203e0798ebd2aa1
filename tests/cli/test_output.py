"""Output never ends a run: whatever becomes of the streams, all is applied and recorded, and no traceback is shown."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest

from pgyoyo.__main__ import UNWRITTEN
from pgyoyo.cli.main import main

LOST = "error: the output could not be written: {}; the command itself was done"
FULL = LOST.format("No space left on device")


@pytest.fixture
def shell(tmp_path: Path, database: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `pgyoyo WORDS` with redirections, in a folder with three migrations of which each shows a notice."""
    for number in (1, 2, 3):
        text = f"CREATE TABLE t{number} ();\nDO $$ BEGIN RAISE NOTICE '100 € each'; END $$;"
        (tmp_path / f"000{number}_a.sql").write_text(text, encoding="utf-8")

    def shell(
        words: str, redirections: str = "", *, options: bool = True, pass_fds: Sequence[int] = (), **env: str
    ) -> subprocess.CompletedProcess[str]:
        given = shlex.join(["--database", database, "--migrations", str(tmp_path)]) if options else ""
        command = f"{shlex.quote(sys.executable)} -m pgyoyo {words} {given} {redirections}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
        return subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=clean | env,
            pass_fds=pass_fds,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return shell


@pytest.mark.parametrize(
    ("redirections", "code", "err"),
    [
        (">&-", 0, ""),
        (">/dev/full", UNWRITTEN, FULL),
        ("<&-", 0, ""),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        (">/dev/full 2>/dev/full", UNWRITTEN, ""),
        ("--verbose >/dev/full 2>&-", UNWRITTEN, ""),
    ],
)
def test_run_goes_on_whatever_its_streams_are(
    redirections: str, code: int, err: str, shell: Callable, conn: psycopg.Connection
) -> None:
    done = shell("apply", redirections)
    assert (done.returncode, done.stderr.strip()) == (code, err)
    assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (3,)
    assert conn.execute("SELECT to_regclass('t3') IS NOT NULL").fetchone() == (True,)


def test_reader_that_goes_away_is_reported_and_the_run_goes_on(shell: Callable, conn: psycopg.Connection) -> None:
    read, write = os.pipe()
    os.close(read)
    os.set_inheritable(write, True)
    try:
        done = shell("apply", f">&{write}", pass_fds=[write])
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (UNWRITTEN, LOST.format("Broken pipe") + "\n")
    assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (3,)


@pytest.mark.parametrize(
    "words", ["status", "status --format json", "apply --dry-run", "new a_b", "server url", "--help", "apply --help"]
)
def test_command_whose_output_is_lost_has_an_exit_code_of_its_own(words: str, shell: Callable) -> None:
    done = shell(words, ">/dev/full", options="--help" not in words)
    assert (done.returncode, done.stderr.strip()) == (UNWRITTEN, FULL)


def test_exit_code_of_a_failure_wins_over_lost_output(shell: Callable, tmp_path: Path) -> None:
    (tmp_path / "0004_wrong.sql").write_text("SELECT 1/0;")
    done = shell("apply", ">/dev/full")
    assert (done.returncode, "division by zero" in done.stderr, FULL in done.stderr) == (1, True, True)


@pytest.mark.parametrize("words", ["appyl", "apply --unknown", "redo --count 0"])
def test_usage_error_has_its_exit_code_also_without_stderr(words: str, shell: Callable) -> None:
    assert shell(words, "2>/dev/full").returncode == 2
    assert shell(words, "2>&-").returncode == 2


def test_character_that_the_locale_lacks_is_shown_as_an_escape(shell: Callable) -> None:
    done = shell("apply", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(r"100 \u20ac each") == 3


GONE = "error: the current folder no longer exists; change to another one and run again\n"


def test_deleted_working_folder_is_an_error_with_a_way_on(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"rmdir {shlex.quote(str(gone))}; exec {shlex.quote(sys.executable)} -P -m pgyoyo apply"
    done = subprocess.run(["bash", "-c", command], cwd=gone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, GONE)


@pytest.mark.parametrize("words", ["status", "new a_b", "schema", "prove", "review", "server url", "server stop"])
def test_command_in_a_deleted_folder_says_so(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "argv", ["pgyoyo", *words.split()])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert (end.value.code, capsys.readouterr().err) == (2, GONE)
