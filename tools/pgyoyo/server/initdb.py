"""The data directory of the embedded PostgreSQL: made, and removed."""

import os
import shutil
import tempfile
from pathlib import Path

from pgyoyo.errors import ServerError
from pgyoyo.server.account import Account

# The provider "builtin" came with 17.
_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def make_data(account: Account, initdb: Path, data: Path, *, version: int, no_sync: bool) -> None:
    """Run initdb in a temporary folder, renamed when complete: a kill leaves no half-made data directory."""
    if account.name == str(account.uid):
        raise ServerError(
            f"initdb refuses user id {account.uid}, which has no name; add it to /etc/passwd, "
            "or set DATABASE_URL to a server of your own"
        )
    for leftover in data.parent.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="data.new-", dir=data.parent))
    os.chown(new, account.uid, account.gid)
    options = [
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        *(_LOCALE if version >= 17 else _LOCALE[:1]),
        *["--no-sync"] * no_sync,
    ]
    done = account.run(initdb, "-D", new, *options)
    if done.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise ServerError(f"initdb failed in {data.parent}:\n{last_lines(done.stdout)}")
    new.rename(data)


def remove_data(data: Path) -> None:
    """Remove a data directory, at once for everybody else: half of one would be refused."""
    data.rename(data.with_name(f"gone-{os.getpid()}"))
    for gone in data.parent.glob("gone-*"):
        shutil.rmtree(gone, ignore_errors=True)


def last_lines(text: str) -> str:
    """The end of a program's output or log."""
    return "\n".join(text.strip().splitlines()[-10:])
