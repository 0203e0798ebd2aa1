"""What happened, in words: the only module that prints.

Texts come from files, servers and other people's sessions. `_print` shows what a terminal would obey or hide as an escape.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from pgyoyo.text import for_log, printable_line, unobeyed
from pgyoyo.units import number, time_words

# Names, the first rows, and how many rows there are.
Rows = tuple[Sequence[str], Sequence[Sequence[str | None]], int]

_CLEAR = "\r\033[K"


@dataclass(slots=True)
class Console:
    """Lines for a person: results to stdout, everything about waiting and trouble to stderr."""

    quiet: bool = False
    verbose: bool = False
    _last: float = field(default=0.0, init=False)
    _shown: float = field(default=0.0, init=False)
    _what: str = field(default="", init=False)

    def result(self, text: str, *, green: str = "") -> None:
        """A line that was asked for; kept by --quiet only where nothing else would say it.

        `green` is the word that is green on a terminal where the line begins with it.
        """
        if not self.quiet:
            _print(text, sys.stdout, green=green)

    def answer(self, text: str) -> None:
        """What the command is for (a status, a plan): printed also with --quiet."""
        _print(text, sys.stdout)

    def data(self, text: str, *, printable: bool = False) -> None:
        """What another program may read, as JSON or SQL: exactly this text, unless it goes to a terminal.

        `printable` says that it is for a person, and all in it has been made printable, but for colours of our own.
        """
        _print(unobeyed(text) if printable else text, sys.stdout, exact=printable or not sys.stdout.isatty())

    def note(self, text: str) -> None:
        """A word about waiting, the server, or something out of order."""
        if not self.quiet:
            self._clear()
            _print(text, sys.stderr)

    def warn(self, text: str) -> None:
        """Something that a person should look at; never left out."""
        self._clear()
        _print(f"warning: {text}", sys.stderr)

    def progress(self, what: str, elapsed: float, phase: str = "") -> None:
        """How long `what` has been running (seconds): a line that is written over on a terminal, elsewhere a new one every
        minute.
        """
        if what != self._what or elapsed < self._last:
            self._what, self._last = what, 0.0
        if self.quiet or elapsed - self._last < (1.0 if sys.stderr.isatty() else 60.0):
            return
        self._last = elapsed
        words = f"{what} … {elapsed:.0f} s" + (f", {phase}" if phase else "")
        if sys.stderr.isatty():
            _print(words[: shutil.get_terminal_size().columns - 1], sys.stderr, over=True)
        else:
            _print(words, sys.stderr)

    def step(self, what: str) -> None:
        """What is being done just now: a line of a terminal that the next thing is written over; nothing elsewhere."""
        if not self.quiet and sys.stderr.isatty():
            _print(what, sys.stderr, over=True)

    def backfill(self, migration_id: str, fraction: float, words: str) -> None:
        """How far a backfill is (a share, 0 to 1): a line that is written over on a terminal, where there is none a new one
        every five seconds.
        """
        now, terminal = time.monotonic(), sys.stderr.isatty()
        self._shown = self._shown or now
        if self.quiet or now - self._shown < (0.2 if terminal else 5.0):
            return
        self._last = self._shown = now
        if terminal:
            bar = "█" * round(fraction * 20)
            line, width = f"{migration_id} {bar.ljust(20, '░')} {words}", shutil.get_terminal_size().columns - 1
            _print((line if len(line) <= width else f"{migration_id} {words}")[:width], sys.stderr, over=True)
        else:
            _print(f"{migration_id}: {words}", sys.stderr)

    def screen(self, lines: Sequence[str]) -> None:
        """The lines in place of all that is on a terminal, as many as there is room for: the last ones."""
        size = shutil.get_terminal_size()
        shown = [printable_line(line)[: size.columns] for line in lines[-max(1, size.lines - 1) :]]
        _print("\033[H\033[2J" + "\n".join(shown), sys.stdout, exact=True)

    def _clear(self) -> None:
        if self._last and sys.stderr.isatty():
            _print("", sys.stderr, over=True)
        self._last = 0.0

    def ran(
        self, verb: str, migration_id: str, duration: float, *, title: str = "", notices: Sequence[str] = (),
        tables: Sequence[Rows] = (), more_notices: int = 0, more_tables: int = 0,
    ) -> None:  # fmt: skip
        """One line for a migration with its time (ms), then its notices and result rows; printed after the commit.

        `more_notices` and `more_tables` are how many there were besides.
        """
        self._clear()
        title = f": {title}" if self.verbose and title else ""
        self.result(f"{verb} {migration_id} ({time_words(duration)}){title}", green=verb)
        lines = [*notices, f"… and {number(more_notices, 'more notice')}"] if more_notices else list(notices)
        for rows in tables:
            lines += table(*rows)
        if more_tables:
            lines.append(f"… and {number(more_tables, 'more result')}")
        for line in lines:
            self.result("    " + line.replace("\n", "\n    "))

    def lines(self, lines: Sequence[str], *, keep: bool = False, green: str = "") -> None:
        """A result of several lines; `keep` prints it also with --quiet, `green` is as for `result`."""
        self._clear()
        if keep or not self.quiet:
            _print("\n".join(lines), sys.stdout, green=green)


def _print(text: str, stream: IO[str], *, green: str = "", over: bool = False, exact: bool = False) -> None:
    """Print a line, or write it over the last one, with a green beginning, or exactly as it is."""
    shown = text if exact else printable_line(text) if over else for_log(text)
    if green and shown.startswith(green):
        shown = _green(green) + shown.removeprefix(green)
    print(f"{_CLEAR if over else ''}{shown}", file=stream, end="" if over else "\n", flush=True)


def _green(text: str) -> str:
    """The text in green on a terminal, unless NO_COLOR is set (no-color.org)."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return f"\033[32m{text}\033[0m"
    return text


def table(names: Sequence[str], rows: Sequence[Sequence[str | None]], total: int) -> list[str]:
    """Aligned lines of a result; of `total` rows the first ones, and it says how many more there are."""
    shown = [["" if value is None else printable_line(value.replace("\n", "⏎")) for value in row] for row in rows]
    names = [printable_line(name) for name in names]
    widths = [max([len(name), *(len(row[i]) for row in shown)]) for i, name in enumerate(names)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (names, *shown)
    ]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    if total > len(rows):
        lines.append(f"… and {total - len(rows)} more rows")
    return lines
