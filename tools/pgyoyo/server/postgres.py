"""The embedded PostgreSQL: a private server, from the programs in a wheel or of the system.

It listens on a Unix socket (on 127.0.0.1 too where tcp.py was asked for that), outlives the process that started it, and
keeps everything below its home folder:

    home/.gitignore         so that no project commits its data
    home/lock               held while a process makes, starts or stops a server
    home/<version>/data     the data directory; the socket is in it too, where the path is short enough for one
    home/<version>/log      the server's log
"""

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pgyoyo import whole_file
from pgyoyo.errors import ServerError
from pgyoyo.identifiers import quoted
from pgyoyo.server import installs, libpq
from pgyoyo.server.account import Account, choose, is_server, open_the_way, recorded_state, running_pid
from pgyoyo.server.initdb import last_lines, make_data, remove_data

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
SOCKET_PATH_LIMIT = 103
# Reads of small databases go by way of other processes otherwise, which takes longer than the reading.
_SYNC = {"io_method": "sync"}
PATIENCE = 60.0  # seconds that a start (with crash recovery) or a shutdown may take


def made(home: Path) -> list[int]:
    """The versions whose data is below `home`, the newest first."""
    return sorted(
        (int(path.parent.name) for path in home.glob("[1-9]*/data") if path.parent.name.isdigit()), reverse=True
    )


class EmbeddedServer:
    """One PostgreSQL of `version` below `home`; nothing happens before a method is called.

    `settings` are added to the server's command line when it is started; `programs` is the folder of its programs, where it
    is not to be looked for. Every method raises ServerError on failure.
    """

    def __init__(
        self, home: Path, *, version: int = 18, settings: Mapping[str, str] | None = None, programs: Path | None = None
    ) -> None:
        self.home = Path(os.path.realpath(home))
        self.version = version
        self.settings = dict(settings or {})
        self._may_lose = self.settings.get("fsync") == "off"  # nothing on it has to survive a power cut
        self._programs = programs
        self.folder = self.home / str(version)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.hba = self.folder / "pg_hba.conf"  # made by tcp.py

    def ensure_running(self, say: Callable[[str], None]) -> bool:
        """True if this call started the server, False if it ran already; makes the data directory if there is none.

        `say` gets a line for each step that the user should know of. Of two calls at once, one starts the server.
        """
        if self.is_running():
            return False
        with self._locked():
            self._let_settle()
            if self.is_running():
                return False
            if (pid := running_pid(self.data)) is not None:
                self._end(pid)
                say(f"stopped the server in {self.folder}, whose socket was lost")
            open_the_way(self._account, self.binary("postgres").parents[1], self.folder, say)
            self._begin(say)
            say(f"started PostgreSQL {self.version} in {self.folder}")
            return True

    def stop(self) -> bool:
        """True if the server ran and has ended, its clients disconnected; False if it did not run."""
        if not os.access(self.data, os.F_OK):
            return False
        with self._locked():
            return self._stop()

    def discard(self) -> None:
        """Stop the server and remove its data, which the next start makes anew."""
        with self._locked():
            self._stop()
            remove_data(self.data)

    def _stop(self) -> bool:
        if (pid := running_pid(self.data)) is not None:
            self._end(pid)
        elif self.is_running():
            raise ServerError(f"the server in {self.folder} runs in another container; stop it there")
        return pid is not None

    def is_running(self) -> bool:
        """True if the server has finished starting and its socket takes connections."""
        try:
            # A folder of the same name in /tmp may be another user's, with a server of his.
            if recorded_state(self.data) != b"ready" or Path(self.host).lstat().st_uid != self._account.uid:
                return False
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(self._socket)
        except (BlockingIOError, TimeoutError):
            return True  # alive, with a full queue
        except (OSError, ServerError):
            return False
        return True

    def conninfo(self, dbname: str) -> str:
        """A libpq key/value string, to which libpq's environment adds nothing; valid once the data directory is made."""
        facts = {"host": self.host, "port": str(self.port), "user": "postgres", "dbname": dbname, **libpq.neutral()}
        escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in facts.items()}
        return " ".join(f"{key}='{value}'" for key, value in escaped.items())

    def url(self, dbname: str) -> str:
        """The same as a URL; its scheme may be replaced, as yoyo and SQLAlchemy do."""
        return f"postgresql://postgres@/{quote(dbname, safe='')}?host={quote(self.host, safe='')}&port={self.port}"

    def ensure_database(self, dbname: str) -> bool:
        """True if this call made the database, False if it was there; the server must be running."""
        import psycopg  # `server stop` and pytest's workers need no client

        try:
            with psycopg.connect(self.conninfo("postgres"), autocommit=True) as conn:
                query = "SELECT FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) %s"
                if conn.execute(query, [dbname]).fetchone() is not None:
                    return False
                # template1 can't be copied while somebody is connected to it; template0 takes no connections.
                statement = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE template0")
                conn.execute(statement.format(psycopg.sql.Identifier(dbname)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False  # made by another process in between
        except psycopg.Error as error:
            raise ServerError(f'the database "{dbname}" can\'t be made in {self.folder}: {error}') from error
        return True

    def binary(self, name: str) -> Path:
        """The path of a program of this version, such as pg_dump."""
        return installs.programs(self.version, self._programs) / name

    @property
    def host(self) -> str:
        """The folder of the socket: the data directory, or a private folder in /tmp where its path is too long."""
        data = os.fsencode(self.data)
        # libpq reads a comma as the start of another host.
        if len(data) + len("/.s.PGSQL.65535") <= SOCKET_PATH_LIMIT and b"," not in data:
            return str(self.data)
        uid = self._account.uid
        # Not TMPDIR: a process with another one has to find the server too.
        return f"/tmp/pgyoyo-{uid}-{hashlib.sha256(b'%d:%s' % (uid, data)).hexdigest()[:16]}"  # noqa: S108

    @property
    def port(self) -> int:
        """The number in the socket's name, made from the data directory's identity, below those that clients of TCP get.

        A server whose data directory was deleted removes its socket as late as a minute afterwards: with a number of
        its own, a new server in the same place does not lose its socket then.
        """
        try:
            with (self.data / "global" / "pg_control").open("rb") as control:
                identity = control.read(8)  # ControlFileData.system_identifier, in pg_control.h
        except OSError as error:
            raise ServerError(f"there is no server in {self.data} ({error.strerror}); start it first") from error
        return 1024 + int.from_bytes(hashlib.sha256(identity).digest()[:4]) % 31000

    @property
    def _socket(self) -> str:
        return f"{self.host}/.s.PGSQL.{self.port}"

    @property
    def _account(self) -> Account:
        return choose(self.data)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold home/lock, which the kernel frees if we die; an OSError within becomes a ServerError."""
        try:
            for folder in (self.home, self.folder):
                if not folder.exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(0o711)  # whatever the umask: the account has to pass
            if not (ignored := self.home / ".gitignore").exists():
                whole_file.write(ignored, b"*\n")
            with (self.home / "lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            advice = f"it may belong to another account; run as that one, or remove {self.home}"
            reason = f"{error.strerror}; {advice}" if isinstance(error, PermissionError) else error.strerror
            raise ServerError(f"{error.filename or self.home}: {reason}") from error

    def _begin(self, say: Callable[[str], None]) -> None:
        self._ensure_data(say)
        self._start()

    def _ensure_data(self, say: Callable[[str], None]) -> None:
        """Make the data directory if there is none; refuse a folder that is not one, or is of another version."""
        if not self.data.exists():
            make_data(self._account, self.binary("initdb"), self.data, version=self.version, no_sync=self._may_lose)
            say(f"made {self.data}")
        try:
            made_by = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise ServerError(f"{self.data} is not a data directory: it has no PG_VERSION; remove it") from error
        if made_by != str(self.version):
            raise ServerError(f'{self.data} was made by PostgreSQL "{made_by}", not {self.version}; move it away')

    def _start(self) -> None:
        """Start the server and wait until it answers; an error shows the end of its log."""
        self._ensure_socket_folder()
        settings = {
            "listen_addresses": "",
            "port": str(self.port),
            "unix_socket_directories": quoted(self.host),
            "unix_socket_permissions": "0700",
            "shared_buffers": "32MB",
            **self._tcp_settings(),
            **(_SYNC if self.version >= 18 and self._may_lose else {}),
            **self.settings,
        }
        command = [str(self.binary("postgres")), "-D", str(self.data), *(f"-c{k}={v}" for k, v in settings.items())]
        deadline = time.monotonic() + PATIENCE
        self.log.touch(mode=0o600)
        while True:
            # Left by a crash, and refused if a process of this user has the number now. PostgreSQL notices processes of a
            # killed server that still use the data without these files.
            for path in (str(self.data / "postmaster.pid"), self._socket, f"{self._socket}.lock"):
                Path(path).unlink(missing_ok=True)
            with self.log.open("ab") as log:
                size = log.tell()
                # Not pg_ctl: it passes paths through a shell. A new session: no ctrl-C of ours reaches the server.
                output: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True}
                server = subprocess.Popen(command, **output, **self._account.options)
            while server.poll() is None and not self.is_running() and time.monotonic() < deadline:
                time.sleep(0.02)
            messages = self.log.read_bytes()[size:].decode(errors="replace")
            if server.returncode is None:
                server.returncode = 0  # it runs on without us, and subprocess must not warn about that
                if self.is_running():
                    return
                raise ServerError(f"{self.data} is not ready after {PATIENCE:.0f} s, see {self.log}; try again later")
            if "is still in use" not in messages or time.monotonic() >= deadline:
                raise ServerError(f"PostgreSQL {self.version} did not start, see {self.log}:\n{last_lines(messages)}")
            time.sleep(0.2)  # the last processes of a killed server are about to end

    def _tcp_settings(self) -> dict[str, str]:
        """What makes the server listen on 127.0.0.1; nothing if nobody asked for that, or another program has the port."""
        if not self.hba.exists():
            return {}
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port))
            return {"listen_addresses": "127.0.0.1", "hba_file": str(self.hba)}
        return {}

    def _ensure_socket_folder(self) -> None:
        folder, account = Path(self.host), self._account
        if folder == self.data:
            return
        try:
            folder.mkdir(mode=0o700)
            os.chown(folder, account.uid, account.gid)
        except FileExistsError:
            facts = folder.lstat()
            if facts.st_uid != account.uid or facts.st_mode & 0o170077 != 0o040000:
                raise ServerError(
                    f"{folder} is not a private folder (mode 0700) of account {account.name}; remove it"
                ) from None

    def _end(self, pid: int) -> None:
        """Fast shutdown: open transactions are rolled back, their sessions closed; returns when the process is gone."""
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while is_server(pid, self.data):
            if time.monotonic() >= deadline:
                raise ServerError(f"the server (process {pid}) did not end in {PATIENCE:.0f} s, see {self.log}")
            time.sleep(0.02)
        if Path(self.host) != self.data:
            with suppress(OSError):
                Path(self.host).rmdir()

    def _let_settle(self) -> None:
        """Wait for a server that is starting or stopping after its starter died or it was killed."""
        deadline = time.monotonic() + PATIENCE
        while running_pid(self.data) and recorded_state(self.data) != b"ready" and time.monotonic() < deadline:
            time.sleep(0.05)
