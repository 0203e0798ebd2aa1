"""The measuring: every tool in turn on the same server, round after round."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import work
from tools import Bare, Command, Pgyoyo, Place, Psql, Tool

from pgyoyo.server.postgres import EmbeddedServer

RUN = Path(__file__).with_name("run.py")
PLUGIN = Path(__file__).with_name("fresh.py")
# A tool that would take longer than this, as it took for fewer migrations, is not given more.
LONGEST = 40.0


@dataclass(frozen=True)
class Task:
    """One line of the table. `base` is the tool that its ratios are to;"""

    name: str
    title: str
    base: str = "psql"


TASKS = [
    Task("apply-1", "apply 1 migration"),
    Task("apply-100", "apply 100"),
    Task("apply-1000", "apply 1,000"),
    Task("apply-5000", "apply 5,000"),
    Task("nothing-1000", "nothing to do, 1,000 applied", base="python"),
    Task("status-5000", "status with 5,000"),
    Task("rollback-1000", "roll back 1,000"),
    Task("file-10mb", "one file of 10 MB"),
    Task("statements-20000", "one file of 20,000 statements"),
    Task("copy-100mb", "one file with 100 MB for COPY"),
    Task("fresh-database", "a database for one test, 100 migrations"),
]


@dataclass
class Figures:
    """What was measured: seconds and peak memory (KiB) by task and tool, and why a pair was left out."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    memory: dict[tuple[str, str], int] = field(default_factory=dict)
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, task: str, tool: str, seconds: float, memory: int) -> None:
        self.seconds.setdefault((task, tool), []).append(seconds)
        self.memory[task, tool] = max(memory, self.memory.get((task, tool), 0))

    def median(self, task: str, tool: str) -> float | None:
        found = self.seconds.get((task, tool))
        return statistics.median(found) if found else None


class FailedError(Exception):
    """A tool's command failed, or took longer than it may."""


class Bench:
    """The tools on one server, and on a second one, for tests: in memory where there is room, and without fsync."""

    def __init__(
        self,
        home: Path,
        servers: tuple[EmbeddedServer, EmbeddedServer],
        tools: Sequence[Tool],
        *,
        chosen: Sequence[str],
        seconds: float,
    ) -> None:
        self.home, self.tools, self.chosen, self.budget = home, tools, chosen, seconds
        self.server, self.test_server = servers
        self.figures = Figures()
        self.made = 0

    def round(self) -> None:
        """Every chosen task once with every tool that has time left for it; each round begins with another tool.

        Nothing is deleted before the end of all rounds: some file systems make new files slowly for a while after many
        were deleted, which would hit whoever comes next.
        """
        for count in (1, 100, 1000, 5000):
            self._several(count)
        self._one_file("file-10mb", lambda: work.one_big_file(10_000_000))
        self._one_file("statements-20000", lambda: work.many_statements(20_000))
        self._copy("copy-100mb", 100_000_000)
        self._fresh("fresh-database", 100)
        self.tools = [*self.tools[1:], self.tools[0]]

    # --- the tasks -------------------------------------------------------------------------------------------------

    def _several(self, count: int) -> None:
        """Apply, then nothing to do, status and rollback on what was applied."""
        apply, nothing, status, back = (f"{name}-{count}" for name in ("apply", "nothing", "status", "rollback"))
        for tool in self._turn(apply, nothing, status, back):
            known = (
                (fewer, self.figures.median(f"apply-{fewer}", tool.name)) for fewer in (1000, 100) if fewer < count
            )
            expected = next((seconds * count / fewer for fewer, seconds in known if seconds), 0.0)
            if expected > LONGEST:
                self.figures.left_out[apply, tool.name] = f"it would take about {expected:.0f} s"
                continue
            with self._place(tool, lambda: work.small(count)) as place:
                tables = -(-count // 4)
                if not self._measured(apply, tool, tool.apply, place):
                    continue
                self._check(place, tool, "t[0-9]+", tables)
                self._measured(nothing, tool, tool.nothing, place)
                if tool.name == "psql":
                    self._measured(nothing, BARE, BARE.nothing, place)
                self._measured(status, tool, tool.status, place)
                if self._wanted(back) and self._measured(back, tool, partial(tool.rollback, count=count), place):
                    self._check(place, tool, "t[0-9]+", 0)

    def _one_file(self, task: str, migrations: Callable[[], Sequence[work.Migration]]) -> None:
        for tool in self._turn(task):
            with self._place(tool, migrations) as place:
                if self._measured(task, tool, tool.apply_file, place):
                    self._check(place, tool, "big|many", 1)

    def _copy(self, task: str, size: int) -> None:
        for tool in self._turn(task):
            if not isinstance(tool, Psql | Pgyoyo):
                self.figures.left_out[task, tool.name] = "it takes no COPY … FROM stdin"
                continue
            with self._place(tool, list) as place:
                work.write_copy(place.folder / "0001_copied.sql", size)
                if self._measured(task, tool, tool.apply_file, place):
                    self._check(place, tool, "copied", 1)

    def _fresh(self, task: str, count: int) -> None:
        """Make a database with all migrations and drop it again: with the pytest plugin, else by running the tool."""
        for tool in self._turn(task):
            folder = self._folder(tool, lambda: work.small(count))
            with self._leaving_out(task, tool):
                if isinstance(tool, Pgyoyo):
                    with self._test_database(folder) as place:
                        self._in_pytest(task, tool, place)
                    continue
                started = time.perf_counter()
                with self._test_database(folder) as place:
                    command = tool.apply(place)
                    assert command
                    _, memory = self._run(place, command)
                self.figures.add(task, tool.name, time.perf_counter() - started, memory)

    def _in_pytest(self, task: str, tool: Tool, place: Place) -> None:
        """Thirty tests with `migrated_db`: what setting up and tearing down each took; the template is made before."""
        folder = place.folder / "tests"
        folder.mkdir()
        (folder / "test_it.py").write_text(
            "import pytest\n\n\n@pytest.mark.parametrize('n', range(31))\ndef test_it(n, migrated_db):\n    pass\n"
        )
        settings = f"[pytest]\npgyoyo_migrations = {place.folder}\npgyoyo_database = {place.url()}\n"
        (folder / "pytest.ini").write_text(settings)
        shutil.copy(PLUGIN, folder / "conftest.py")
        words = [sys.executable, "-m", "pytest", "-q", "-c", "tests/pytest.ini", "-p", "no:cacheprovider", "tests"]
        _, memory = self._run(place, Command(words))
        times = [float(line) for line in (folder / "times").read_text().split()]
        self.figures.add(task, tool.name, statistics.median(times[1:]), memory)

    # --- how -------------------------------------------------------------------------------------------------------

    def _wanted(self, *tasks: str) -> bool:
        return any(task in self.chosen for task in tasks)

    def _turn(self, *tasks: str) -> Iterator[Tool]:
        """The tools that take part, each with time left for one of the chosen tasks."""
        for tool in self.tools:
            wanted = [task for task in tasks if self._wanted(task) and (task, tool.name) not in self.figures.left_out]
            spent = [sum(self.figures.seconds.get((task, tool.name), [])) for task in wanted]
            if wanted and max(spent) < self.budget:
                yield tool

    @contextmanager
    def _place(self, tool: Tool, migrations: Callable[[], Sequence[work.Migration]]) -> Iterator[Place]:
        """A new database and the tool's files."""
        folder = self._folder(tool, migrations)
        with psycopg.connect(self.server.conninfo("postgres"), autocommit=True) as admin:
            self.made += 1
            dbname = f"bench{self.made}"
            admin.execute(f"CREATE DATABASE {dbname} TEMPLATE template0")
            yield Place(folder, self.server.host, self.server.port, dbname)

    def _folder(self, tool: Tool, migrations: Callable[[], Sequence[work.Migration]]) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="work-", dir=self.home))
        tool.write(folder, migrations())
        return folder

    @contextmanager
    def _test_database(self, folder: Path) -> Iterator[Place]:
        """A database on the server for tests, made and dropped as a test would."""
        with psycopg.connect(self.test_server.conninfo("postgres"), autocommit=True) as admin:
            admin.execute("CREATE DATABASE bench TEMPLATE template0")
            yield Place(folder, self.test_server.host, self.test_server.port, "bench")
            admin.execute("DROP DATABASE bench WITH (FORCE)")

    def _measured(self, task: str, tool: Tool, command: Callable[[Place], Command | None], place: Place) -> bool:
        """Run it and keep the figures if the task was chosen; False where the tool doesn't have it or failed."""
        found = command(place) if self._wanted(task) or task.startswith("apply") else None
        if found is None:
            return False
        with self._leaving_out(task, tool):
            seconds, memory = self._run(place, found)
            if self._wanted(task):
                self.figures.add(task, tool.name, seconds, memory)
            return True
        return False

    @contextmanager
    def _leaving_out(self, task: str, tool: Tool) -> Iterator[None]:
        """A failure in the block is said, and the tool has that task no more."""
        try:
            yield
        except FailedError as error:
            self.figures.left_out[task, tool.name] = str(error)
            print(f"{task} {tool.name}: {error}", file=sys.stderr, flush=True)

    def _run(self, place: Place, command: Command) -> tuple[float, int]:
        output = self.home / "output"
        words = [sys.executable, "-I", "-S", RUN, output, "300", *command.words]
        done = subprocess.run(words, cwd=place.folder, env=place.env | command.env, capture_output=True, check=True)
        code, seconds, memory = done.stdout.split()
        if int(code):
            said = output.read_text(errors="replace").strip()[-300:]
            raise FailedError("it took more than 300 s" if int(code) == -9 else f"exit code {int(code)}: {said}")
        return float(seconds), int(memory)

    def _check(self, place: Place, tool: Tool, pattern: str, tables: int) -> None:
        """The work was done: raises AssertionError."""
        query = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ %s"
        with psycopg.connect(place.url()) as conn:
            [found] = conn.execute(query, [f"^({pattern})$"]).fetchone() or [None]
        assert found == tables, f"{tool.name} left {found} tables, not {tables}"


BARE = Bare()
