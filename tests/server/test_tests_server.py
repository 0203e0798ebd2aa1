"""The tests' own server, when a run has left it."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pgyoyo.errors import ServerError
from pgyoyo.server import in_memory, tests_server
from pgyoyo.server.postgres import EmbeddedServer


def test_server_that_a_failed_test_left_is_stopped_but_not_under_a_run(tmp_path: Path) -> None:
    project = tmp_path
    assert tests_server.stop(project) == []
    version = int(os.environ["PGYOYO_SERVER_VERSION"])
    home = tests_server.home(project)
    server = EmbeddedServer(home, version=version, settings=in_memory.FAST)
    try:
        server.ensure_running(lambda line: None)
        with (home / f"in-use-{version}").open("ab") as in_use:
            fcntl.flock(in_use, fcntl.LOCK_SH)
            with pytest.raises(ServerError, match=r"tests are running on the server in .*/tests; end them first"):
                tests_server.stop(project)
        assert server.is_running()
        assert tests_server.stop(project) == [version]
        assert not server.is_running()
        assert tests_server.stop(project) == []
    finally:
        server.stop()
        shutil.rmtree(home.resolve())


def test_a_run_needs_nothing_of_pytest_to_stop_it() -> None:
    code = "import sys; from pgyoyo.server import tests_server; print({'pytest', 'psycopg'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
