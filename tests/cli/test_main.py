"""The group: every command explains itself, and is imported only when it is asked for."""

import shlex
from collections.abc import Iterator

import click
import pytest

from pgyoyo.cli import main


def commands(group: click.Group = main.cli, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command, as the words that call it."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield (*way, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*way, name))


def resolve(words: tuple[str, ...]) -> click.Command:
    command: click.Command = main.cli
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found
        command = found
    return command


def example_lines(words: tuple[str, ...]) -> list[str]:
    return [line.strip() for line in (resolve(words).epilog or "").splitlines() if line.startswith("  pgyoyo ")]


WORDS = list(commands())


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_command_and_each_of_its_options_says_what_it_does(words: tuple[str, ...]) -> None:
    command = resolve(words)
    assert command.help
    assert command.help.split("\n")[0].strip().endswith((".", ":"))
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.endswith("."), option.name


@pytest.mark.parametrize("name", main.COMMANDS)
def test_line_in_the_group_s_help_is_the_first_of_the_command_s_own(name: str) -> None:
    command = resolve((name,))
    assert command.name == name
    assert (command.help or "").split("\n\n")[0] == main.COMMANDS[name][1]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_of_a_command_ends_with_examples_that_the_command_takes(words: tuple[str, ...]) -> None:
    lines = example_lines(words)
    assert lines
    for line in lines:
        given = tuple(shlex.split(line.partition(" | ")[0])[1:])
        path = max((path for path in WORDS if given[: len(path)] == path), key=len)
        assert path[: len(words)] == words
        with resolve(path).make_context(path[-1], list(given[len(path) :])):  # a click.UsageError fails the test
            pass


def test_example_with_an_option_that_there_is_not_is_found() -> None:
    with pytest.raises(click.UsageError):
        resolve(("apply",)).make_context("apply", ["--unknown"])


@pytest.mark.parametrize("width", [80, 110])
@pytest.mark.parametrize("words", [(), *WORDS], ids=" ".join)
def test_help_is_cut_nowhere_and_keeps_its_lines(words: tuple[str, ...], width: int, run_here) -> None:
    result = run_here(*words, "--help", env={"COLUMNS": str(width)})
    assert result.code == 0
    assert "…" not in result.out.replace("ROLE … SET", "")
    assert "..." not in result.out.replace("[ID]...", "").replace("ID...", "").replace("[ARGS]...", "").replace(
        "[ARGUMENTS]...", ""
    )
    lines = result.out.splitlines()
    for line in example_lines(words) if words else ():
        assert f"    {line}" in lines
    assert ("Exit codes:" in result.out) == (not words)


def test_help_of_the_command_line_names_every_command_and_the_exit_codes(run) -> None:
    result = run("--help")
    assert result.code == 0
    for words in WORDS:
        if len(words) == 1:
            assert f"\n  {words[0].ljust(8)}  {main.COMMANDS[words[0]][1]}\n" in result.out
    assert "\n  Exit codes:\n    0    done, or nothing to do\n" in result.out
    assert run("-h").out == result.out
    server = run("server", "--help").out
    assert all(f"\n  {words[1]} " in server for words in WORDS if words[0] == "server" and len(words) == 2)


def test_unknown_command_gets_the_nearest_name(run_here) -> None:
    result = run_here("sevrer")
    assert (result.code, "No such command 'sevrer'. Did you mean server?" in result.err) == (2, True)
    assert "Did you mean" not in run_here("xyz").err
    for name, near in (("migrate", "apply"), ("down", "rollback"), ("psql", "server psql"), ("help", "--help")):
        assert f"No such command '{name}'. Did you mean {near}?" in run_here(name).err
    assert "extra argument (2); --to ID stops after a migration" in run_here("apply", "2").err
    assert "extra argument (x.log); --log FILE reads a log" in run_here("queries", "x.log").err


def test_interruption_of_what_only_reads_speaks_of_no_rollback(run_here, monkeypatch) -> None:
    assert main.COMMANDS.keys() >= main.READERS
    for command, words in (
        ("status", "\ninterrupted\n"),
        ("apply", "interrupted; what was not committed is rolled back"),
    ):
        monkeypatch.setattr(main.cli, "main", lambda **_: raise_interrupt())
        result = run_here(command)
        assert (result.code, words in f"\n{result.err}") == (130, True)


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def test_another_tool_s_name_for_a_command_is_no_command_and_leads_to_one() -> None:
    assert not main.ELSEWHERE.keys() & main.COMMANDS.keys()
    assert {name.split()[0] for name in main.ELSEWHERE.values()} - main.COMMANDS.keys() == {"--help"}
