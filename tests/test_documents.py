"""The documents are true: their commands print what stands there, and they name all that there is and nothing else.

A ```console block holds commands behind "$ ", each followed by what it prints. They run in the order they stand in, each
document in a checkout of its own with a new database. A line "…" there stands for any lines, a "…" within a line for any
text; one that does not exit with 0 is followed by `$ echo $?`. A block behind a line with a path is that file.
"""

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click
import psycopg
import pytest

from own_server import own_server, pristine
from pgyoyo import configuration, errors, settings
from pgyoyo.__main__ import UNWRITTEN
from pgyoyo.backfill.pacing import Limits
from pgyoyo.cli import main
from pgyoyo.fleet import definition
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.sql import header

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tools" / "pgyoyo"
FENCE = re.compile(r"^(?:`(?P<path>[^`\n]+)`:\n\n)?```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
BIN = str(Path(sys.executable).parent)
# Its output comes from a process of its own.
PSQL = "pgyoyo server psql"
VERSION = int(os.environ.get("PGYOYO_TEST_POSTGRES") or 18)


@dataclass(frozen=True)
class Document:
    name: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.name).read_text(encoding="utf-8")

    @property
    def blocks(self) -> Iterator[re.Match[str]]:
        return FENCE.finditer(self.text)

    @cached_property
    def prose(self) -> str:
        return FENCE.sub("", self.text)

    @property
    def spans(self) -> list[str]:
        """What stands between backticks."""
        return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", self.prose)]

    @property
    def anchors(self) -> set[str]:
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def links(self) -> list[str]:
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    def section(self, heading: str) -> str:
        """What stands below a heading, up to the next one of any level."""
        _, _, below = self.text.partition(f"\n{heading}\n")
        assert below, f'{self.name} has no heading "{heading}"'
        return re.split(r"^#{2,3} ", below, maxsplit=1, flags=re.MULTILINE)[0]


README, SQL, TOOLS, TESTS = DOCUMENTS = [
    Document(name) for name in ("README.md", "sql/README.md", "tools/README.md", "tests/README.md")
]
SPANS = [span for document in DOCUMENTS for span in document.spans]

# Lines about the server, which was made at another time here, and what differs from run to run.
ASIDE = re.compile(r"(?:Installing pgyoyo|made /|started PostgreSQL|opened /)")
VARYING = (
    (r"\(\d+(\.\d+)? m?s\)", "(TIME)"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  \d+(\.\d+)? m?s", "WHEN  TIME"),
    (r"database cj_assessment at /\S+:\d+ \(PostgreSQL [\d.]+\)", "DATABASE"),
    (r'"host": "/\S+",\n +"port": \d+,\n +"server_version": "[\d.]+"', "ADDRESS"),
    (r"postgresql://postgres@/\w+\?host=\S+&port=\d+", "URL"),
    (r"PostgreSQL 1\d", "PostgreSQL"),
    (r'"applied_at": "\d{4}-\d\d-\d\dT[\d:.]+Z"', "APPLIED_AT"),
    (r'"duration_ms": [\d.]+', "DURATION"),
    (r'"version": "[\w.]+"', "VERSION"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"passed in [\d.]+s", "passed in TIME"),
)


def normal(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if not ASIDE.match(line)]
    text = "\n".join(lines).strip("\n")
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text


def is_shown(expected: str, printed: str) -> bool:
    """Whether a document shows what was printed."""
    pattern = re.escape(normal(expected) + "\n")
    pattern = re.sub("^…\n|^…\\\\\n", r"(?:.*\\n)*?", pattern, flags=re.MULTILINE).replace("…", ".*")
    return re.fullmatch(pattern, normal(printed) + "\n") is not None


def console(body: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it prints."""
    assert body.startswith("$ "), body
    parts = [part.partition("\n") for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]]
    return [(command, printed) for command, _, printed in parts]


def make(*args: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PG", "ARGS"))}
    return subprocess.run(["make", *args], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def recipe(command: str) -> str:
    """The pgyoyo command that a make command runs, or "" if it runs none."""
    found = re.search(r"^\.venv/bin/(pgyoyo .*?) *$", make("-n", *shlex.split(command)[1:]).stdout, re.MULTILINE)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """The embedded server of all checkouts, beside that of their scratch databases."""
    with own_server({"fsync": "off"}, memory=True) as server:
        scratch = EmbeddedServer(server.home / "scratch", version=server.version)
        for folder in (scratch.home, scratch.folder):
            folder.mkdir()
            folder.chmod(0o711)
        subprocess.run(["cp", "-a", pristine(server.version), scratch.data], check=True)
        yield server
        scratch.stop()


@pytest.fixture
def checkout(server: EmbeddedServer, tmp_path: Path) -> Path:
    """A checkout with nothing but settings and migrations, and no database yet."""
    server.ensure_running(lambda _: None)
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS cj_assessment")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    (tmp_path / ".postgres").symlink_to(server.home)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_print_what_the_document_shows(
    document: Document, checkout: Path, server: EmbeddedServer, run: Callable, run_here: Callable
) -> None:
    env = {"PGYOYO_SERVER_VERSION": str(VERSION), "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"}
    folder, code = checkout, 0
    for block in document.blocks:
        if path := block["path"]:
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / path).write_text(block["body"])
        else:
            assert block["kind"] != "sql", f"a sql block says which file it is, in a line before it:\n{block['body']}"
        for command, expected in console(block["body"]) if block["kind"] == "console" else ():
            if command == "echo $?":
                assert expected.strip() == str(code), f"the command before exits with {code}"
                code = 0
                continue
            assert code == 0, f"the command before `{command}` exits with {code}; show it: $ echo $?"
            if command.startswith("cd "):
                folder = (folder / command.removeprefix("cd ")).resolve()
                if not (folder / ".postgres").exists():
                    (folder / ".postgres").symlink_to(server.home)
                continue
            # A server for tests would have to be made first.
            more = {"DATABASE_URL": server.url("postgres")} if command.startswith("pytest ") else {}
            out, err, code = call(command, run if PSQL in command else run_here, folder, {**env, **more})
            assert is_shown(expected, out + err) or is_shown(expected, err + out), (
                f"\n$ {command}\n{normal(err + out)}\n--- {document.name} shows\n{normal(expected)}"
            )
    assert code == 0


def call(command: str, run: Callable, folder: Path, env: Mapping[str, str]) -> tuple[str, str, int]:
    """Stdout, stderr and exit code of a command in the folder; a make target stands for its recipe."""
    if command.startswith("make"):
        own = recipe(command)
        assert own, f"`{command}` is not run by this test, so nothing it prints can be shown"
        command = own
    if re.match(r"pgyoyo [^|>&]*$", command):
        result = run(*shlex.split(command)[1:], cwd=folder, env=env)
        return result.out, result.err, result.code
    ours = ("PG", "DATABASE_URL", "PYTEST_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder, env={**clean, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout, done.stderr, done.returncode


# --- The commands and options of the command line ---


def commands(group: click.Group = main.cli, above: tuple[str, ...] = ("pgyoyo",)) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command
        path = (*above, name)
        found |= commands(command, path) if isinstance(command, click.Group) else {" ".join(path): command}
    return found


COMMANDS = commands()
ALWAYS = {"--help", "-h"}


def options(command: click.Command) -> list[set[str]]:
    """Each option of a command, as the ways to write it."""
    return [{*one.opts, *one.secondary_opts} for one in command.params if isinstance(one, click.Option)]


def rows(text: str) -> list[list[str]]:
    """The cells of the first table in a text, without its head."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table, text
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


def tables(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table in a text, without its head."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        yield rows(table)


def test_every_command_and_option_stands_in_the_reference() -> None:
    sections = {}
    for heading in re.findall(r"^### .*$", TOOLS.prose, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", heading):
            sections[name] = TOOLS.section(heading)
    assert set(sections) == set(COMMANDS)
    shared = "\n".join(row[0] for row in rows(TOOLS.section("## Commands")))
    for name, command in COMMANDS.items():
        for ways in options(command):
            missing = {way for way in ways if way.startswith("--") and way not in sections[name] + shared}
            assert not missing, f"{name}: {missing} is not in its section, nor among the shared options"


@pytest.mark.parametrize("option", ["--database", "--migrations", "--quiet", "--verbose", "--wait", "--give-up-after"])
def test_shared_option_is_of_the_commands_that_its_row_says(option: str) -> None:
    words = next(row[1] for row in rows(TOOLS.section("## Commands")) if row[0].startswith(f"`{option}"))
    ledger = {
        "adopt",
        "apply",
        "rollback",
        "redo",
        "baseline",
        "mark",
        "unmark",
        "repair",
        "rename",
        "settle",
        "backfill run",
        "fleet apply",
        "fleet rollback",
    }
    claimed = set(COMMANDS)
    if words == "all that change the ledger":
        claimed = {f"pgyoyo {name}" for name in ledger}
    else:
        for left_out in re.findall(r"`([^`]+)`", words):
            claimed = {name for name in claimed if not f"{name} ".startswith(f"pgyoyo {left_out} ")}
    assert {name for name, command in COMMANDS.items() if any(option in ways for ways in options(command))} == claimed


def test_nothing_is_named_that_the_command_line_lacks() -> None:
    lines = [one for one in SPANS if one.startswith("pgyoyo ")]
    lines += [line for document in DOCUMENTS for line in re.findall(r"^\$ (pgyoyo .*)", document.text, re.MULTILINE)]
    assert len(lines) > 40
    for line in lines:
        words = line.split()
        name = next((n for n in COMMANDS if words[: len(n.split())] == n.split()), None)
        if name is None:
            assert words[1] in {*ALWAYS, "--version"}, f"there is no `{line}`"
        elif name != "pgyoyo server psql":
            known = {way for ways in options(COMMANDS[name]) for way in ways} | ALWAYS
            assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, line
    every = {way for command in COMMANDS.values() for ways in options(command) for way in ways} | ALWAYS | {"--version"}
    named = {one.split()[0] for one in SPANS if re.match(r"--?[a-z]", one)}
    assert {one for one in named if not one.startswith("--pgyoyo-")} <= every  # those are pytest's


# --- make ---


def test_every_make_target_stands_in_the_reference_and_no_other_anywhere() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {shlex.split(span)[1] for span in re.findall(r"`(make [^`]+)`", TOOLS.section("## make"))} == targets
    named = [shlex.split(span) for span in SPANS if re.match(r"make\b", span)]
    assert {words[1] for words in named if len(words) > 1} <= targets
    for words in {tuple(words) for words in named}:
        done = make("-n", *words[1:])
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


# --- Facts that stand elsewhere too ---


def test_exit_codes_are_those_of_the_code() -> None:
    shown = {int(row[0]) for row in rows(TOOLS.section("## Exit codes"))}
    told = {int(code) for code in re.findall(r"\d+", main.EPILOG)}
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PgyoyoError)]
    raised = {one.exit_code for one in kinds}
    source = "".join(path.read_text() for path in Path(main.__file__).parent.glob("*.py"))
    called = {int(code) for code in re.findall(r"sys\.exit\((\d+)\)", source)} | {UNWRITTEN}
    assert raised | called | {128 + signal.SIGINT, 128 + signal.SIGTERM} <= told
    assert shown == told


def test_directives_are_those_that_the_header_knows() -> None:
    table = rows(SQL.section("## The header"))
    place = {"migration": header.APPLY_ONLY, "rollback": header.ROLLBACK_ONLY, "both": header.BOTH}
    shown = {row[0].strip("`").partition(":")[0]: place[row[1]] for row in table}
    assert set(shown) == set(header.KNOWN)
    for name, known in shown.items():
        assert name in known, f"{name} stands in the wrong file"
    for row in table:
        _, faults = header.parse(f"-- {row[0].strip('`')}", rollback=row[1] == "rollback")
        assert faults == []


def test_settings_are_those_of_this_repository_and_all_that_there_are() -> None:
    blocks = [tomllib.loads(block["body"])["tool"]["pgyoyo"] for block in TOOLS.blocks if block["kind"] == "toml"]
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pgyoyo"]
    assert blocks[0] == own
    shown = {key: value for block in blocks for key, value in block.items()}
    assert {*shown} == {*configuration.KEYS["tool.pgyoyo"]}
    assert {*shown["server"]} == {*configuration.KEYS["tool.pgyoyo.server"]}
    assert {*shown["backfill"]} == {*configuration.KEYS["tool.pgyoyo.backfill"]}
    assert settings._limits(ROOT, shown["backfill"]) == Limits()
    assert {*shown["review"]} == {*configuration.KEYS["tool.pgyoyo.review"]}
    fleet = definition.choose(shown["fleet"], "tenants", "tools/README.md")
    assert {*shown["fleet"][0]} == {*definition._KEYS} - {"databases", "catalog", "template", "order_by"}
    assert fleet.limits == definition.Limits(
        jobs=16, per_server=8, max_connections=30, bake=600, max_lock=2, max_wal=1 << 30, max_duration=60
    )
    assert {*shown["ignore"][0]} == {*configuration.KEYS["tool.pgyoyo.ignore"]}


def test_environment_variables_are_those_that_are_read() -> None:
    sources = [*PACKAGE.rglob("*.py"), ROOT / "tests" / "conftest.py"]
    text = "".join(path.read_text() for path in sources)
    read = {*re.findall(r'"(PGYOYO_[A-Z_]+|NO_COLOR|DATABASE_URL)"', text), *settings.LIBPQ}
    assert {name for row in rows(TOOLS.section("## Settings")) for name in re.findall(r"`(\w+)`", row[0])} == read


def strings() -> set[str]:
    """The strings of the package, with "…" for what an f-string puts in."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.add("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_messages_are_those_of_the_source() -> None:
    messages = [row[0].strip("`") for table in tables(TOOLS.section("## Messages at night")) for row in table]
    assert len(messages) > 30
    every = "\0".join(strings())
    unknown = [text for text in messages if not re.search(re.escape(text).replace("…", "[^\0]*"), every)]
    assert unknown == []


def test_fixtures_and_settings_are_those_of_the_plugin() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    fixtures, given = tables(TESTS.section("## The pytest plugin"))
    named = {name for row in fixtures for name in re.findall(r"^`(\w+)", row[0])}
    shared = {"migrated_module_url", "migrated_session_url", "migrated_transaction"}
    assert named == {"migrated_db", "migrated_url", "migration_db", "pgyoyo_migrations", "pgyoyo_server"} | shared
    made = re.findall(r"^@pytest\.fixture.*\ndef (\w+)|^(\w+) = pytest\.fixture", source, re.MULTILINE)
    assert named <= {name for pair in made for name in pair}
    known = {*re.findall(r'"(--pgyoyo-[a-z-]+)"', source), *re.findall(r'addini\(\s*"(\w+)"', source)}
    assert {row[0].strip("`") for row in given} == known


# The map shows the house as it will be; these modules come with the last steps of the move.
COMING = {"markdown.py"}


def test_map_names_every_room_and_its_modules() -> None:
    section = TOOLS.section("## A map of the rooms")
    named = {path for path in re.findall(r"`(\w[\w/.]*)`", section) if path.endswith(("/", ".py", ".toml", ".sql"))}
    missing = {path for path in named - {"pgyoyo/"} if not (PACKAGE / path).exists()}
    assert missing <= COMING
    rooms = {f"{path.parent.relative_to(PACKAGE)}/" for path in PACKAGE.rglob("__init__.py")} - {"./"}
    assert rooms <= named


def test_extras_are_those_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lists = re.findall(r"pip install 'pgyoyo\[(.*?)\]'", "\n".join(SPANS))
    named = {name for names in lists for name in names.split(",")}
    assert named == {"embedded", "pytest"}
    assert named <= set(extras)


# --- The documents themselves ---


def test_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 300


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Document) -> None:
    for link in document.links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / document.name).parent / path).resolve() if path else ROOT / document.name
        assert target.exists(), link
        if anchor:
            assert anchor in Document(str(target.relative_to(ROOT))).anchors, link


def test_files_and_folders_that_are_named_are_there() -> None:
    named = {f"tests/{span}" for span in TESTS.spans if re.fullmatch(r"[\w/]+(\.py|/)", span)}
    for document in DOCUMENTS:
        prose, _, _ = document.prose.partition("## A map of the rooms")  # which has a test of its own
        named |= {*re.findall(r"`((?:\.ci|sql|tests|tools)/[\w./]*)`", prose)}
    files = {name for name in named if "0006" not in name}  # those are examples
    assert len(files) > 10
    assert {name for name in files if not (ROOT / name).exists()} == set()


def test_links_on_pypi_are_absolute_and_lead_to_files_of_this_repository() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    home = project["project"]["urls"]["Repository"]
    page = README.text
    for rule in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(rule["pattern"], rule["replacement"], page)
    assert f"repo: {home}\n" in TOOLS.text
    links = re.findall(r"\]\(([^)\s]+)\)", page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    own = [re.match(rf"{re.escape(home)}/(?:blob|raw)/main/([^#]*)", link) for link in links]
    assert len(list(filter(None, own))) > 10
    assert [match[0] for match in own if match and not (ROOT / match[1]).exists()] == []


# --- The comparison itself ---


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("applied 0001_a (2 ms)\n", "applied 0001_a (1.3 s)\n", True),
        ("applied 0001_a (2 ms)\n", "applied 0001_b (2 ms)\n", False),
        ("a\n…\nz\n", "a\nb\nc\nz\n", True),
        ("…\nz\n", "a\nz\n", True),
        ("a\n…\nz\n", "a\nb\n", False),
        ("INSERT INTO t …\n", "INSERT INTO t VALUES (1)\n", True),
        ("a\n", "a\nb\n", False),
        ("", "a\n", False),
    ],
)
def test_comparison_overlooks_nothing_but_what_varies(expected: str, printed: str, same: bool) -> None:
    assert is_shown(expected, printed) is same
