"""Which files differ from a git ref: those that a pull request is about."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import Migration


def since(ref: str, migrations: Sequence[Migration]) -> list[str]:
    """The ids of the migrations of which a file was added or changed since the branch left `ref`, committed or not.

    Raises UsageError where git is not there, the files are in no repository, or there is no such ref.
    """
    found = []
    folders = {file.path.parent for one in migrations for file in (one.apply, one.rollback) if file}
    paths = {path for folder in sorted(folders) for path in _changed(ref, folder)}
    for one in migrations:
        files = [file.path.resolve() for file in (one.apply, one.rollback) if file]
        if paths.intersection(files):
            found.append(one.id)
    return found


def _changed(ref: str, folder: Path) -> set[Path]:
    """The files of a folder that differ from where its branch left the ref, and those that git doesn't know yet."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    if not _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", or_else=""):
        raise UsageError(f'git knows no "{ref}"; give a branch, a tag or a commit: --since main')
    # A shallow clone may lack the commit where the branches part; the ref itself then has to do.
    base = _git(folder, "merge-base", ref, "HEAD", or_else=ref).strip()
    names = _git(folder, "diff", "--name-only", "-z", "--no-renames", base, "--", ".").split("\0")
    new = _git(folder, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    return {(top / name).resolve() for name in names if name} | {(folder / name).resolve() for name in new if name}


def _git(folder: Path, *words: str, or_else: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],  # noqa: S607 - the git that the user has
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise UsageError(f"git can't be run ({error.strerror}), and --since asks it what changed") from None
    if done.returncode == 0:
        return done.stdout
    if or_else is not None:
        return or_else
    said = done.stderr.strip().removeprefix("fatal: ")
    raise UsageError(f"git, asked what changed in {folder}: {said or 'it failed'}; give ids instead of --since")
