"""The operating system's side of the embedded PostgreSQL: the account that it runs as, and its process."""

import os
import pwd
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgyoyo.errors import ServerError


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group: ours, or, for root, an existing one without root's rights."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """Its name; the number itself where it has none, as in containers with arbitrary user ids."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def options(self) -> dict[str, Any]:
        """How subprocess runs PostgreSQL's programs: as the account, without our environment."""
        switch = {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}
        env = {"PATH": os.defpath, "HOME": "/", "LC_ALL": "C", "TZ": "UTC"}
        return {"cwd": "/", "env": env, "stdin": subprocess.DEVNULL, **switch}

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program as the account; stdout holds stderr too."""
        output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
        return subprocess.run(command, check=False, errors="replace", **output, **self.options)

    def is_refused(self, test: str, path: Path) -> bool:
        """True if `test` (-x, -r) of `path` fails for the account, found by trying it as the account."""
        return self.run("/bin/sh", "-c", 'test "$0" "$1"', test, path).returncode != 0


def choose(data: Path) -> Account:
    """The account for a server with this data directory: ours; for root the data's owner, else postgres, else nobody.

    Raises ServerError where root finds none of them.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return Account(*pwd.getpwnam(name)[2:4])
    raise ServerError(
        "PostgreSQL refuses to run as root; add an account postgres or nobody, or set DATABASE_URL to a server of your own"
    )


def open_the_way(account: Account, install: Path, folder: Path, say: Callable[[str], None]) -> None:
    """Let the account reach the programs in `install` and `folder`, opening no more than needed; only root has to.

    `say` gets a line for each path opened. Raises ServerError if that is not enough.
    """
    if os.geteuid() != 0:
        return
    whom = f"account {account.name}, which PostgreSQL runs as in place of root"
    for way in dict.fromkeys([*reversed(install.parents), *reversed(folder.parents), folder]):
        mode = way.stat().st_mode
        if not mode & 0o001 and account.is_refused("-x", way):
            way.chmod(mode | 0o001)
            say(f"opened {way} (chmod o+x) to {whom}")
    # The shared libraries that a wheel was built with stand beside the package.
    trees = [install, *install.parents[1].glob(f"{install.parent.name}.libs")]
    program = install / "bin" / "postgres"
    if any(account.is_refused("-r", path) for path in (program, *install.glob("share"), *trees)):
        _make_readable(trees)
        say(f"opened the programs in {install} (chmod o+rX) to {whom}")
    for path in (program, folder):
        if account.is_refused("-x", path):
            raise ServerError(
                f"{path} can't be reached by {whom}; see `namei -l {path}`, or set DATABASE_URL to a server of your own"
            )


def _make_readable(trees: Iterable[Path]) -> None:
    for path in (path for tree in trees for path in (tree, *tree.rglob("*"))):
        mode = path.stat().st_mode
        path.chmod(mode | (0o005 if mode & 0o100 else 0o004))


# --- The process, by postmaster.pid (the lines are those of PostgreSQL's pidfile.h) ---


def recorded_state(data: Path) -> bytes:
    """What the server last wrote about itself: starting, ready, stopping; empty without a server."""
    return b"".join(_pidfile(data)[7:8]).strip()


def running_pid(data: Path) -> int | None:
    """The process id of the server of `data`; None if none runs."""
    lines = _pidfile(data)
    return int(lines[0]) if lines and lines[0].isdigit() and is_server(int(lines[0]), data) else None


def is_server(pid: int, data: Path) -> bool:
    """True if the process is the server of `data`, not one that got its number after a crash or a reboot."""
    try:
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/cwd").samefile(data)
        return str(data) in choose(data).run("ps", "-o", "command=", "-p", str(pid)).stdout
    except OSError:
        return False


def _pidfile(data: Path) -> list[bytes]:
    try:
        return (data / "postmaster.pid").read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
