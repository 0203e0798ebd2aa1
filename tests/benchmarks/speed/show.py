"""What was measured, as a table in Markdown and as a picture in SVG."""

from collections.abc import Sequence
from html import escape
from math import log10

from measure import TASKS, Figures, Task

# Told apart also by those who see fewer colours (Okabe and Ito), on white.
COLOURS = ["#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#888888"]
LEAST, MOST = 0.03, 1000.0


def ratio(figures: Figures, task: Task, tool: str) -> float | None:
    """The tool's median over that of the task's base; None where either is missing."""
    own, base = figures.median(task.name, tool), figures.median(task.name, task.base)
    return own / base if own and base else None


def time_words(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def ratio_words(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def table(figures: Figures, tools: Sequence[str]) -> str:
    """A line a task: the base's time, then every tool's ratio to it."""
    lines = [f"| | base | {' | '.join(tools)} |", "|--|" + "--:|" * (len(tools) + 1)]
    for task in TASKS:
        base = figures.median(task.name, task.base)
        if base is None:
            continue
        ratios = (ratio(figures, task, tool) for tool in tools)
        cells = ["-" if found is None else ratio_words(found) for found in ratios]
        name = "" if task.base == "psql" else f" ({task.base})"
        lines.append(f"| {task.title} | {time_words(base)}{name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def memory(figures: Figures, tools: Sequence[str], tasks: Sequence[str]) -> str:
    """The same for peak memory, in MB."""
    lines = [f"| peak memory, MB | {' | '.join(tools)} |", "|--|" + "--:|" * len(tools)]
    for task in TASKS:
        if task.name in tasks and any((task.name, tool) in figures.memory for tool in tools):
            found = (figures.memory.get((task.name, tool)) for tool in tools)
            cells = ["-" if peak is None else f"{peak * 1024 / 1e6:.0f}" for peak in found]
            lines.append(f"| {task.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(figures: Figures, tools: Sequence[str]) -> str:
    """A dot for each tool in the line of each task, on one logarithmic scale of ratios; pgyoyo's are the large ones."""
    tasks = [task for task in TASKS if figures.median(task.name, task.base) and ratio(figures, task, "pgyoyo")]
    left, top, width, row = 300, 62, 600, 30
    bottom = top + row * len(tasks)

    def x(value: float) -> float:
        share = (log10(value) - log10(LEAST)) / (log10(MOST) - log10(LEAST))
        return left + width * min(max(share, 0.0), 1.0)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 940 {bottom + 56}" font-family="sans-serif" font-size="13">',
        f'<rect width="940" height="{bottom + 56}" fill="white"/>',
    ]
    place = 20
    for tool, colour in zip(tools, COLOURS, strict=False):
        size = 6 if tool == "pgyoyo" else 4
        parts.append(f'<circle cx="{place}" cy="22" r="{size}" fill="{colour}"/>')
        parts.append(f'<text x="{place + 11}" y="26.5" fill="#222">{escape(tool)}</text>')
        place += 36 + 8 * len(tool)
    for mark in (0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000):
        colour, wide = ("#444", 1.5) if mark == 1 else ("#ddd", 1)
        at = f"{x(mark):.1f}"
        parts.append(
            f'<line x1="{at}" y1="{top - 12}" x2="{at}" y2="{bottom}" stroke="{colour}" stroke-width="{wide}"/>'
        )
        parts.append(f'<text x="{at}" y="{bottom + 18}" text-anchor="middle" fill="#444">{mark:g}</text>')
    for number, task in enumerate(tasks):
        y = top + row * number + 8
        parts.append(f'<text x="{left - 14}" y="{y + 4.5}" text-anchor="end" fill="#222">{escape(task.title)}</text>')
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + width}" y2="{y}" stroke="#eee"/>')
        dots = [(ratio(figures, task, tool), tool, colour) for tool, colour in zip(tools, COLOURS, strict=False)]
        # pgyoyo last, so that none lies over it.
        for found, tool, colour in sorted(dots, key=lambda dot: dot[1] == "pgyoyo"):
            if found is not None:
                size = 6 if tool == "pgyoyo" else 4
                said = escape(f"{tool}: {ratio_words(found)}")
                parts.append(
                    f'<circle cx="{x(found):.1f}" cy="{y}" r="{size}" fill="{colour}"><title>{said}</title></circle>'
                )
    words = "times psql (for nothing to do: times a bare Python that connects); logarithmic, left is faster"
    parts.append(f'<text x="{left + width / 2}" y="{bottom + 40}" text-anchor="middle" fill="#444">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
