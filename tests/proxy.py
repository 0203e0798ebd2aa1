"""A relay between a client and PostgreSQL that a test can cut, hold or change at any message."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CANCEL = 80877102  # the code in the first packet of a connection that only cancels (protocol-message-formats)
# After these the other side waits for what it got so far: requests, answers, and what belongs to a COPY or a login.
ENDS = {"request": b"QSpdcf", "answer": b"ZRGHWS"}


class Cut(Exception):  # noqa: N818 - it is no error
    """Raised by a hook: both sides of the connection are closed, and nothing more is passed on."""


class Link:
    """One connection through the proxy; `application` is what the client calls itself, `number` counts connections."""

    def __init__(self, client: socket.socket, number: int) -> None:
        self.client = client
        self.number = number
        self.server: socket.socket | None = None
        self.application = ""
        self.counts = {"request": 0, "answer": 0}

    def close(self, *sides: socket.socket | None) -> None:
        """Close these sides, or both."""
        for side in sides or (self.client, self.server):
            if side is not None:
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)


# Gets the link, "start", "request" or "answer", its number, and the bytes; returns what is passed on in their place.
# The number of a request is that of its answer; number 0 is the login.
Hook = Callable[[Link, str, int, bytes], bytes]


class Proxy:
    """Listens on a Unix socket in a folder of its own and relays to the server of `conninfo`."""

    def __init__(self, conninfo: str, hook: Hook = lambda link, what, number, data: data) -> None:
        facts = conninfo_to_dict(conninfo)
        self.hook = hook
        self._host, self._port = str(facts.get("host") or "localhost"), int(facts.get("port") or 5432)
        self._folder = Path(tempfile.mkdtemp(prefix="pgy-", dir="/tmp"))  # short: a socket's path holds 103 bytes
        self._folder.chmod(0o700)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / f".s.PGSQL.{self._port}"))
        self._listener.listen(50)
        self._links: list[Link] = []
        self._closed = False
        self.conninfo = make_conninfo(conninfo, host=str(self._folder))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        shutil.rmtree(self._folder, ignore_errors=True)

    def cut(self) -> None:
        """Cut every connection there is."""
        for link in list(self._links):
            link.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            link = Link(client, len(self._links))
            self._links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: Link) -> None:
        try:
            if self._host.startswith("/"):
                link.server = socket.socket(socket.AF_UNIX)
                link.server.connect(f"{self._host}/.s.PGSQL.{self._port}")
            else:
                link.server = socket.create_connection((self._host, self._port))
            back = threading.Thread(target=self._relay, args=(link, link.server, link.client, "answer"), daemon=True)
            start = _read(link.client, 4)
            start += _read(link.client, int.from_bytes(start) - 4)
            if int.from_bytes(start[4:8]) != CANCEL:
                words = start[8:].split(b"\0")
                link.application = (
                    dict(zip(words[::2], words[1::2], strict=False)).get(b"application_name", b"").decode()
                )
                start = self.hook(link, "start", 0, start)
            link.server.sendall(start)
            back.start()
            self._relay(link, link.client, link.server, "request")
            back.join()
        except (OSError, EOFError, Cut):
            link.close()
        finally:
            link.client.close()
            if link.server is not None:
                link.server.close()

    def _relay(self, link: Link, source: socket.socket, target: socket.socket, what: str) -> None:
        """Pass on whole requests, or whole answers, until either side is gone."""
        try:
            for whole in _pieces(source, ENDS[what], counted := {"request": b"QS", "answer": b"Z"}[what]):
                last = whole[1]
                data = whole[0]
                if last in counted:
                    if what == "request":
                        link.counts[what] += 1
                    data = self.hook(link, what, link.counts[what], data)
                    if what == "answer":
                        link.counts[what] += 1
                target.sendall(data)
        except (OSError, EOFError, Cut):
            pass
        link.close()


def _pieces(source: socket.socket, ends: bytes, counted: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Bytes that belong together, and the kind of the message that ends them."""
    held = bytearray()
    while True:
        head = _read(source, 5)
        held += head + _read(source, int.from_bytes(head[1:]) - 4)
        if head[:1] in ends or head[:1] == b"X":
            yield bytes(held), head[:1]
            held.clear()


def _read(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = source.recv(min(size - len(data), 1 << 16))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
