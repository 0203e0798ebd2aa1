"""The README is true: its commands print what stands there, and it names all that there is and nothing else.

A ```console block holds commands behind "$ ", each followed by what it prints. They run in the order they stand in, in a
checkout of their own with its own embedded server. A line "…" there stands for any lines, a "…" within a line for any
text; one that does not exit with 0 is followed by `$ echo $?`. A ```sql block behind a line with a path is that file.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import pytest

from pgyoyo import errors, settings
from pgyoyo.backfill.pacing import Limits
from pgyoyo.cli import main
from pgyoyo.server.postgres import INSTALLS, EmbeddedServer
from pgyoyo.sql import header

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^(?:`(?P<path>[^`\n]+)`:\n\n)?```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
PROSE = FENCE.sub("", README)
SPANS = re.findall(r"`([^`\n]+)`", PROSE)
BIN = str(Path(sys.executable).parent)
# Its output comes from a process of its own.
PSQL = "pgyoyo server psql"
VERSION = int(os.environ.get("PGYOYO_TEST_POSTGRES") or 18)

# Lines about the server, which was made at another time here, and what differs from run to run.
ASIDE = re.compile(r"(?:Installing pgyoyo|made /|started PostgreSQL|opened /)")
VARYING = (
    (r"\(\d+(\.\d+)? m?s\)", "(TIME)"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  \d+(\.\d+)? m?s", "WHEN  TIME"),
    (r"database cj_assessment at /\S+:\d+ \(PostgreSQL [\d.]+\)", "DATABASE"),
    (r'"host": "/\S+",\n +"port": \d+,\n +"server_version": "[\d.]+"', "ADDRESS"),
    (r"postgresql://postgres@/cj_assessment\?host=\S+&port=\d+", "URL"),
    (r"PostgreSQL 1\d", "PostgreSQL"),
    (r'"applied_at": "\d{4}-\d\d-\d\dT[\d:.]+Z"', "APPLIED_AT"),
    (r'"duration_ms": [\d.]+', "DURATION"),
    (r'"version": "[\w.]+"', "VERSION"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
)


def normal(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if not ASIDE.match(line)]
    text = "\n".join(lines).strip("\n")
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text


def is_shown(expected: str, printed: str) -> bool:
    """Whether the README shows what was printed."""
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


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout with nothing but settings and migrations, its server running without fsync: disks may be slow.

    Not in pytest's own folder, which would be opened to the server's account.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgyoyo-readme-"))
    folder.chmod(0o711)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "sql", folder / "sql")
    EmbeddedServer(folder / ".postgres", version=VERSION, settings={"fsync": "off"}).ensure_running(lambda _: None)
    yield folder
    for version in INSTALLS:
        EmbeddedServer(folder / ".postgres", version=version).stop()
    shutil.rmtree(folder)


def test_commands_print_what_the_readme_shows(checkout: Path, run: Callable, run_here: Callable) -> None:
    env = {"PGYOYO_SERVER_VERSION": str(VERSION), "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"}
    code, ran = 0, 0
    for block in FENCE.finditer(README):
        if block["kind"] == "sql":
            assert block["path"], f"a sql block says which file it is, in a line before it:\n{block['body']}"
            (checkout / block["path"]).write_text(block["body"])
        for command, expected in console(block["body"]) if block["kind"] == "console" else ():
            if command == "echo $?":
                assert expected.strip() == str(code), f"the command before exits with {code}"
                code = 0
                continue
            assert code == 0, f"the command before `{command}` exits with {code}; show it: $ echo $?"
            out, err, code = call(command, run if PSQL in command else run_here, checkout, env)
            assert is_shown(expected, out + err) or is_shown(expected, err + out), (
                f"\n$ {command}\n{normal(err + out)}\n--- the README shows\n{normal(expected)}"
            )
            ran += 1
    assert code == 0
    assert ran > 20


def call(command: str, run: Callable, checkout: Path, env: Mapping[str, str]) -> tuple[str, str, int]:
    """Stdout, stderr and exit code of a command in the checkout; a make target stands for its recipe."""
    if command.startswith("make"):
        if not (own := recipe(command)):
            assert command == "make", f"`{command}` is not run by this test, so nothing it prints can be shown"
            done = make()
            return done.stdout, done.stderr, done.returncode
        command = own
    if command.startswith("pgyoyo "):
        result = run(*shlex.split(command)[1:], cwd=checkout, env=env)
        return result.out, result.err, result.code
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=checkout, env={**clean, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
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


def section(heading: str) -> str:
    """What stands below a heading, up to the next one of any level."""
    _, _, below = README.partition(f"\n{heading}\n")
    assert below, f'the README has no heading "{heading}"'
    return re.split(r"^#{2,3} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the first table in a text, without its head."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table, text
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


def test_every_command_and_option_stands_in_the_readme() -> None:
    sections = {}
    for heading in re.findall(r"^### .*$", README, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", heading):
            sections[name] = section(heading)
    assert set(sections) == set(COMMANDS)
    shared = "\n".join(row[0] for row in rows(section("## Commands")))
    for name, command in COMMANDS.items():
        for ways in options(command):
            missing = {way for way in ways if way.startswith("--") and way not in sections[name] + shared}
            assert not missing, f"{name}: {missing} is not in its section, nor among the shared options"


@pytest.mark.parametrize("option", ["--database", "--migrations", "--quiet", "--verbose", "--wait", "--give-up-after"])
def test_shared_option_is_of_the_commands_that_its_row_says(option: str) -> None:
    words = next(row[1] for row in rows(section("## Commands")) if row[0].startswith(f"`{option}"))
    ledger = {"apply", "rollback", "redo", "baseline", "mark", "unmark", "repair", "settle"}
    claimed = set(COMMANDS)
    if words == "all that change the ledger":
        claimed = {f"pgyoyo {name}" for name in ledger}
    else:
        for left_out in re.findall(r"`([^`]+)`", words):
            claimed = {name for name in claimed if not f"{name} ".startswith(f"pgyoyo {left_out} ")}
    assert {name for name, command in COMMANDS.items() if any(option in ways for ways in options(command))} == claimed


def test_nothing_is_named_that_the_command_line_lacks() -> None:
    lines = [one for one in SPANS if one.startswith("pgyoyo ")]
    lines += re.findall(r"^\$ (pgyoyo .*)", README, re.MULTILINE)
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


def test_every_make_target_stands_in_the_readme_and_no_other() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(re.findall(r"^  make ([\w-]+)", README, re.MULTILINE)) == targets
    named = [shlex.split(one) for one in SPANS if re.match(r"make\b", one)]
    assert {words[1] for words in named if len(words) > 1} <= targets
    for words in {tuple(words) for words in named}:
        done = make("-n", *words[1:])
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


# --- Facts that stand elsewhere too ---


def test_exit_codes_are_those_of_the_code() -> None:
    shown = {int(row[0]) for row in rows(section("## Exit codes"))}
    told = {int(code) for code in re.findall(r"\d+", main.EPILOG)}
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PgyoyoError)]
    raised = {one.exit_code for one in kinds}
    called = {int(code) for code in re.findall(r"sys\.exit\((\d+)\)", Path(main.__file__).read_text())}
    assert raised | called | {128 + signal.SIGINT, 128 + signal.SIGTERM} <= told
    assert shown == told


def test_directives_are_those_that_the_header_knows() -> None:
    table = rows(section("## A migration"))
    place = {"migration": header.APPLY_ONLY, "rollback": header.ROLLBACK_ONLY, "both": header.BOTH}
    shown = {row[0].strip("`").partition(":")[0]: place[row[1]] for row in table}
    assert set(shown) == set(header.KNOWN)
    for name, known in shown.items():
        assert name in known, f"{name} stands in the wrong file"
    for row in table:
        _, faults = header.parse(f"-- {row[0].strip('`')}", rollback=row[1] == "rollback")
        assert faults == []


def test_settings_are_those_of_this_repository_and_all_that_there_are() -> None:
    blocks = [tomllib.loads(one["body"])["tool"]["pgyoyo"] for one in FENCE.finditer(README) if one["kind"] == "toml"]
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pgyoyo"]
    assert blocks[0] == own
    shown = {key: value for block in blocks for key, value in block.items()}
    assert {*shown} == {*settings._KEYS["tool.pgyoyo"]}
    assert {*shown["server"]} == {*settings._KEYS["tool.pgyoyo.server"]}
    assert {*shown["backfill"]} == {*settings._KEYS["tool.pgyoyo.backfill"]}
    assert settings._limits(ROOT, shown["backfill"]) == Limits()
    assert {*shown["ignore"][0]} == {*settings._KEYS["tool.pgyoyo.ignore"]}


def test_environment_variables_are_those_that_are_read() -> None:
    sources = [*(ROOT / "tools" / "pgyoyo").glob("*.py"), ROOT / "tests" / "conftest.py"]
    text = "".join(path.read_text() for path in sources)
    read = {*re.findall(r'"(PGYOYO_[A-Z_]+|NO_COLOR|DATABASE_URL)"', text), *settings.LIBPQ}
    assert {name for row in rows(section("## Settings")) for name in re.findall(r"`(\w+)`", row[0])} == read


def test_folders_and_links_lead_somewhere() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for row in rows(section("## The folders")):
        for path in re.findall(r"`([^`]+)`", row[0]):
            assert f"/{path}" in ignored or (ROOT / path).exists(), path
    headings = re.findall(r"^##+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for link in re.findall(r"\]\(([^)\s]+)\)", README):
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif "://" not in link:
            assert (ROOT / link).exists(), link


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
