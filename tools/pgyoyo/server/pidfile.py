"""What postmaster.pid says of a server: its process, and how far that is; the lines are those of PostgreSQL's pidfile.h."""

from pathlib import Path

from pgyoyo.server.account import choose


def status(data: Path) -> bytes:
    """The state that the server wrote down: starting, ready, stopping; empty without one."""
    return b"".join(_lines(data)[7:8]).strip()


def server(data: Path) -> int | None:
    """The server's process id, None without one."""
    lines = _lines(data)
    return int(lines[0]) if lines and lines[0].isdigit() and is_server(int(lines[0]), data) else None


def is_server(pid: int, data: Path) -> bool:
    """True if the process is the server of `data`, not one that got its number after a crash or a reboot."""
    try:
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/cwd").samefile(data)
        return str(data) in choose(data).run("ps", "-o", "command=", "-p", str(pid)).stdout
    except OSError:
        return False


def _lines(data: Path) -> list[bytes]:
    try:
        return (data / "postmaster.pid").read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
