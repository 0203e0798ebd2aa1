"""Which migrations a branch adds or changes, as git sees it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import Migration


def since(ref: str, migrations: Sequence[Migration]) -> list[str]:
    """The ids of the migrations with a file added or changed since the branch left `ref`, committed or not.

    Raises UsageError where git is not there, the files are in no repository, or there is no such ref.
    """
    files = {m.id: [file.path for file in (m.apply, m.rollback) if file] for m in migrations}
    folders = sorted({path.parent for paths in files.values() for path in paths})
    changed = {path for folder in folders for path in _changed(ref, folder)}
    return [migration_id for migration_id, paths in files.items() if any(path.resolve() in changed for path in paths)]


def _changed(ref: str, folder: Path) -> set[Path]:
    """The files of a folder that differ from where its branch left the ref, and those not added to git yet."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    if not _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", or_else=""):
        raise UsageError(f'git does not know "{ref}"; give a branch, a tag or a commit: --since main')
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
        raise UsageError(f"git can't be run ({error.strerror}), and --since needs it") from None
    if done.returncode == 0:
        return done.stdout
    if or_else is not None:
        return or_else
    reason = done.stderr.strip().removeprefix("fatal: ") or f"exit code {done.returncode}"
    raise UsageError(f"git could not list the changes in {folder}: {reason}; give ids instead of --since")
