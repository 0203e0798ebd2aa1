"""When make installs, and when it does not: its own recipes, with a Python that makes a .venv of three scripts."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = '[project]\nname = "x"\n[build-system]\n[tool.hatch]\n'
# What venv.create and pip do here. Each call of the new Python is noted; pip does what the file "pip" says.
VENV = '''
import os
def create(folder, **_):
    os.makedirs(folder + "/bin")
    for name, text in (("python", PYTHON), ("pgyoyo", 'echo "pgyoyo $*" >> calls')):
        with open(f"{folder}/bin/{name}", "w") as file:
            file.write("#!/bin/sh\\n" + text)
        os.chmod(file.name, 0o755)
PYTHON = """
case "$*" in
*"pip install"*) echo "pip install" >> calls; test ! -e pip || . ./pip ;;
*pgyoyo*) echo "${*#-m }" >> calls ;;
esac
"""
'''
BASE = "import os, sys; sys._base_executable = os.environ.get('BASE', sys._base_executable)\n"


class Checkout:
    """A folder with the Makefile; calling it runs make, and gives its exit code and what was called."""

    def __init__(self, folder: Path, fakes: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("sql", "tools", "tests"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "pyproject.toml").write_text(PROJECT)
        fakes.mkdir()
        for name, text in (("venv", VENV), ("ensurepip", ""), ("sitecustomize", BASE)):
            (fakes / f"{name}.py").write_text(text)
        for name in ("python3", "another"):
            program = fakes / name
            base = "" if name == "python3" else f"BASE={program} "
            program.write_text(f'#!/bin/sh\n{base}PYTHONPATH={fakes} exec {sys.executable} "$@"\n')
            program.chmod(0o755)
        # Not what the make that runs these tests hands on.
        handed = ("MAKE", "MFLAGS", "PYTHON", "ARGS", "JOBS", "NAME", "PGYOYO")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(handed)}
        self.env = {**clean, "PATH": f"{fakes}:{os.environ['PATH']}"}
        self.another = str(fakes / "another")

    def __call__(self, *words: str) -> tuple[int, list[str]]:
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        # A session of its own: what ctrl-C ends is all of its processes, unless whoever began this run had it ignored.
        done = subprocess.run(
            ["make", *words], cwd=self.folder, env=self.env, capture_output=True, start_new_session=True, check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        return done.returncode, calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def make(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout", tmp_path / "fakes")


def test_install_happens_once(make: Checkout) -> None:
    assert make("status") == (0, ["pip install", "pgyoyo status"])
    assert make("status") == (0, ["pgyoyo status"])
    # Another set of packages is installed beside it; it has all that status needs.
    assert make("lint", "-n")[0] == 0
    assert make(".venv/.dev") == (0, ["pip install"])
    assert make("migrate") == (0, ["pgyoyo apply"])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("end", ["kill -INT 0; exit 1", "kill -KILL $PPID; exit 1"])
def test_interrupted_install_is_done_again(make: Checkout, end: str, first: bool) -> None:
    """Both the first one and one over an older .venv."""
    if not first:
        make("install")
        (make.folder / "pyproject.toml").write_text(PROJECT.replace('"x"', '"y"'))
    (make.folder / "pip").write_text(end)
    code, calls = make("status")
    assert (code != 0, calls) == (True, ["pip install"])
    (make.folder / "pip").unlink()
    assert make("status") == (0, ["pip install", "pgyoyo status"])


def test_pyproject_that_asks_for_nothing_new_needs_no_pip(make: Checkout) -> None:
    make("install")
    project = make.folder / "pyproject.toml"
    later = (make.folder / "Makefile").stat().st_mtime + 60
    project.write_text(PROJECT + '[tool.pgyoyo]\ndatabase = "embedded"\n')
    os.utime(project, (later, later))
    assert make("status") == (0, ["pgyoyo status"])
    project.write_text(PROJECT.replace('"x"', '"y"'))
    os.utime(project, (later + 60, later + 60))
    assert make("status") == (0, ["pip install", "pgyoyo status"])


def test_checkout_that_was_moved_can_stop_its_server_and_installs_again(make: Checkout) -> None:
    make("install")
    make.folder = make.folder.rename(make.folder.with_name("moved"))
    assert make("stop") == (0, ["pgyoyo server stop"])
    assert make("status") == (0, ["pip install", "pgyoyo status"])
    make.folder = make.folder.rename(make.folder.with_name("again"))
    for name in ("tests", "scratch"):
        (make.folder / ".postgres").mkdir(exist_ok=True)
        (make.folder.parent / name).mkdir()
        (make.folder / ".postgres" / name).symlink_to(make.folder.parent / name)
    assert make("clean") == (0, ["pgyoyo server stop"] * 2)
    assert not any((make.folder / name).exists() for name in (".venv", ".postgres", "../tests", "../scratch"))


def test_another_python_makes_the_environment_anew(make: Checkout) -> None:
    make("install")
    stray = make.folder / ".venv" / "lib"
    stray.mkdir()
    assert make("status", f"PYTHON={make.another}") == (0, ["pip install", "pgyoyo status"])
    assert not stray.exists()
    # And it stays that of .venv until one is named again.
    assert make("status") == (0, ["pgyoyo status"])
    assert make("status", f"PYTHON={make.another}") == (0, ["pgyoyo status"])
    assert make("status", "PYTHON=python3") == (0, ["pip install", "pgyoyo status"])
    assert make("status", "PYTHON=none")[0] != 0
