"""The wheel: built and installed as pip does it, it takes a new project from `init` to `review` as the README has it."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgyoyo.server.in_memory import MEMORY

ROOT = Path(__file__).parents[1]
# A second migration, since the README's first pair is applied by then.
REVIEWED = """
cd notes
pgyoyo new add_author
echo 'ALTER TABLE note ADD COLUMN author text;' > sql/migrations/0002_add_author.sql
echo 'ALTER TABLE note DROP COLUMN author;' > sql/migrations/0002_add_author.rollback.sql
pgyoyo review
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's account may pass, as tmp_path is not for root's tests."""
    folder = Path(tempfile.mkdtemp(prefix="pgyoyo-wheel-", dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def installed(folder: Path) -> Path:
    """The programs of an environment with the wheel, and with this environment's packages in place of downloads."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    [site] = (folder / "venv" / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", folder / "venv"]
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", *options, wheel], check=True, capture_output=True)
    # The checkout itself stays out: of these packages no .pth file is read.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


@pytest.mark.skipif(
    bool(os.environ.get("PGYOYO_TEST_POSTGRES") or os.environ.get("PGYOYO_TEST_DATABASE_URL")),
    reason="the wheel starts a server of its own, whatever the others run on: once will do",
)
def test_project_of_ones_own_goes_from_init_to_review_with_the_wheel(folder: Path) -> None:
    programs = installed(folder)
    own = (ROOT / "README.md").read_text().partition("\n## Your own project\n")[2]
    shown = re.search(r"```console\n(.*?)```", own, re.DOTALL)
    assert shown
    commands = re.findall(r"(?m)^\$ (.*)", shown[1])
    assert commands[:3] == ["mkdir notes", "cd notes", "pgyoyo init"]
    # No PYTHONPATH and no home: nothing but the environment is there.
    environ = {"PATH": f"{programs}:{os.defpath}", "HOME": str(folder / "home"), "LANG": "C.UTF-8"}

    def sh(script: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-ec", script],
            cwd=folder,
            check=False,
            env=environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert sh("python -c 'import pgyoyo; print(pgyoyo.__file__)'").startswith(str(folder))
    try:
        assert "applied 0001_create_note" in sh("\n".join(commands))
        sheet = sh(REVIEWED)
        assert "ALTER TABLE note" in sheet
        assert "rollback  restores the catalog exactly" in sheet
    finally:
        sh("cd notes && pgyoyo server stop")
