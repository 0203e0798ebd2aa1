"""A review as workflow commands of GitHub Actions, which show findings beside the lines of a pull request."""

from pgyoyo.review.render.phrases import ordered, worst_first
from pgyoyo.review.render.text import last_line
from pgyoyo.review.sheet import ERROR, NOTE, WARNING, Review

_COMMANDS = {ERROR: "error", WARNING: "warning", NOTE: "notice"}


def render(review: Review) -> str:
    """A line for each finding that nobody allowed, worst first, and a plain one for the log, the verdict, at the end.

    GitHub shows ten of each severity beside the code.

    The escapes are those of @actions/core (toolkit, packages/core/src/command.ts): without them a text could begin a command
    of its own.
    """
    lines = [
        f"::{_COMMANDS[one.severity]} file={_property(str(one.path))},line={one.line},"
        f"title={_property(f'{sheet.id}: {one.rule}')}::"
        f"{_data(chr(10).join(word for word in (one.happens, one.hurts, one.safer) if word))}\n"
        for sheet in ordered(review)
        for one in worst_first(sheet.open)
    ]
    return "".join(lines) + f"{_plain(last_line(review))}\n"


def _plain(text: str) -> str:
    """A line that is no command: those begin with two colons, or hold ##[."""
    return text.replace("::", ": :").replace("##[", "## [")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
