"""Times, counts, tables and progress as a person reads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgyoyo.engine.ledger import Progress

_SHOWN_ROWS = 20


def green(text: str) -> str:
    """The text in green on a terminal that is not told otherwise (no-color.org)."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return f"\033[32m{text}\033[0m"
    return text


def time_words(milliseconds: float) -> str:
    """A duration as a person says it."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{int(milliseconds // 60_000)} min {milliseconds % 60_000 / 1000:.0f} s"


def table(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> list[str]:
    """Aligned lines of a result; at most twenty rows, and it says how many more there are."""
    shown = [[("" if value is None else value).replace("\n", "⏎") for value in row] for row in rows[:_SHOWN_ROWS]]
    widths = [max([len(name), *(len(row[i]) for row in shown)]) for i, name in enumerate(names)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (list(names), *shown)
    ]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    if len(rows) > _SHOWN_ROWS:
        lines.append(f"… and {len(rows) - _SHOWN_ROWS} more rows")
    return lines


def progress_words(found: Progress) -> str:
    """How far a backfill is, for a person."""
    words = [f"{found.fraction:.0%}", f"{found.rows:,} rows", f"{found.rate:,.0f} rows/s"]
    if found.left is not None:
        words.append(f"{time_words(found.left * 1000)} left")
    return "  ".join(words)


def several(ids: Sequence[str]) -> str:
    """Ids in a sentence: one, two, or the first and how many more."""
    if len(ids) <= 2:
        return " and ".join(ids)
    return f"{ids[0]} and {len(ids) - 1} more"
