"""A picture of who waited how long, and when: every wait is a line from its begin to its end, at the height of its length."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP, PANEL = 900, 430, 70, 40, 330
LOW, HIGH = 0.0005, 100.0  # seconds, from the bottom of a panel to its top
COLOURS = {"naive": "#c0392b", "batched": "#1f6fb2"}
TITLES = {"naive": "ALTER and UPDATE in one transaction", "batched": "in batches, by pgyoyo"}

# (kind, at, seconds), at 0 where the migration begins
Wait = tuple[str, float, float]


def svg(rows: int, runs: dict[str, tuple[float, Sequence[Wait]]]) -> str:
    """The waits of runs (seconds it took, waits) in panels side by side, on one scale of time."""
    span = max(seconds for seconds, _ in runs.values()) + 2
    width = (WIDTH - LEFT - 20) / len(runs) - 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for number, (name, (seconds, waits)) in enumerate(runs.items()):
        left = LEFT + number * (width + 20)

        def x(at: float, left: float = left) -> float:
            return round(left + (min(max(at, -1), span - 1) + 1) / span * width, 1)

        colour, size = COLOURS[name], f'width="{x(seconds) - x(0):.1f}" height="{PANEL}"'
        title = f"{TITLES[name]}: {seconds:.1f} s, longest wait {_words(max(taken for _, _, taken in waits))}"
        parts += [
            f'<text x="{left}" y="{TOP - 16}" font-weight="bold" fill="{colour}">{title}</text>',
            f'<rect x="{x(0)}" y="{TOP}" {size} fill="{colour}" opacity="0.08"/>',
        ]
        for mark in (0.001, 0.01, 0.1, 1.0, 10.0):
            parts.append(f'<line x1="{left}" x2="{left + width:.1f}" y1="{y(mark)}" y2="{y(mark)}" stroke="#ddd"/>')
            if not number:
                parts.append(
                    f'<text x="{left - 8}" y="{y(mark) + 4}" text-anchor="end" fill="#444">{_words(mark)}</text>'
                )
        step = next(one for one in (1, 2, 5, 10, 20, 60, 300) if span / one <= 8)
        for mark in range(0, int(span), step):
            parts.append(f'<text x="{x(mark)}" y="{TOP + PANEL + 18}" text-anchor="middle" fill="#444">{mark} s</text>')
        for _, at, taken in _longest(waits):
            ends = f'x1="{x(at)}" x2="{max(x(at + taken), x(at) + 1.5):.1f}" y1="{y(taken)}" y2="{y(taken)}"'
            parts.append(f'<line {ends} stroke="{colour}" stroke-width="2"/>')
    foot = f"How long single reads and writes took while a column of {rows:,} rows was filled (shaded); logarithmic"
    return "\n".join([*parts, f'<text x="{LEFT}" y="{HEIGHT - 12}" fill="#444">{foot}</text>', "</svg>"]) + "\n"


def y(seconds: float) -> float:
    """The height of a wait."""
    share = math.log(min(max(seconds, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return round(TOP + PANEL * (1 - share), 1)


def _longest(waits: Sequence[Wait]) -> list[Wait]:
    """The longest of each kind in each fiftieth of a second, so that the picture stays small."""
    found: dict[tuple[str, int], Wait] = {}
    for wait in waits:
        key = (wait[0], int(wait[1] * 20))
        if key not in found or found[key][2] < wait[2]:
            found[key] = wait
    return sorted(found.values(), key=lambda wait: wait[1])


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
