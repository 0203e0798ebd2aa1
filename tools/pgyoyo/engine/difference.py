"""The difference of two texts of SQL, with the passwords in it hidden."""

from difflib import unified_diff

from pgyoyo.engine.failures import hide


def difference(before: str, after: str, names: tuple[str, str]) -> list[str]:
    """The lines of the unified diff, without line ends; a line whose password alone changed is among them."""
    lines = before.splitlines(), after.splitlines()
    # A password may stand in a line behind its word, so that all of a text is needed to find it; hide() keeps the lines.
    old, new = map(_hidden, lines)
    shown = []
    for number, line in enumerate(unified_diff(*lines, *names, lineterm="")):
        hidden = new if line[:1] == "+" else old
        shown.append(line if number < 2 or line.startswith("@@") else line[:1] + hidden[line[1:]])
    return shown


def _hidden(lines: list[str]) -> dict[str, str]:
    """Each line as it is shown; one that is hidden in one place is hidden everywhere."""
    pairs = list(zip(lines, hide("\n".join(lines)).split("\n") if lines else (), strict=True))
    return dict(sorted(pairs, key=lambda pair: pair[0] != pair[1]))
