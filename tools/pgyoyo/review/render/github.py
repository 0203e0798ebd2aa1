"""The review as workflow commands of GitHub Actions, which annotate the lines of a pull request."""

from pgyoyo.review.render.phrases import last_line, ordered, worst_first
from pgyoyo.review.sheet import ERROR, NOTE, PAPERWORK, WARNING, Review
from pgyoyo.text import printable, printable_line

_COMMANDS = {ERROR: "error", WARNING: "warning", PAPERWORK: "notice", NOTE: "notice"}


def render(review: Review) -> str:
    """A command for each open finding, worst first, then a plain line for the log, the verdict.

    GitHub shows ten of each severity beside the code.

    The escapes are those of @actions/core (toolkit, packages/core/src/command.ts): without them a text could begin a command
    of its own.
    """
    lines = [
        f"::{_COMMANDS[finding.severity]} file={_property(printable_line(str(finding.path)))},line={finding.line},"
        f"title={_property(printable_line(f'{sheet.id}: {finding.rule}'))}::"
        f"{_data(printable(chr(10).join(filter(None, (finding.happens, finding.effect, finding.workaround)))))}\n"
        for sheet in ordered(review)
        for finding in worst_first(sheet.open)
    ]
    return "".join(lines) + f"{_plain(last_line(review))}\n"


def _plain(text: str) -> str:
    """A line that is not a command: those begin with two colons, or contain ##[."""
    return printable(text).replace("::", ": :").replace("##[", "## [")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
