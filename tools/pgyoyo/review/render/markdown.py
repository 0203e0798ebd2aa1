"""A review as Markdown for a pull request: verdict and table first, then the findings, the SQL folded."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pgyoyo.review.render import phrases as words
from pgyoyo.review.render.folding import Run, runs
from pgyoyo.review.render.text import last_line, printable
from pgyoyo.review.sheet import FAILED, RAN, Finding, Review, Seen, Sheet, verdict
from pgyoyo.schema import page

LIMIT = 65_000  # GitHub takes 65,536 characters for a comment
LONGEST = 2_000  # characters of one finding's or note's words
COLUMNS = ("#", "line", "statement", "takes", "blocks", "under", "work", "catalog", "measured")
# What is left out, one after the other, until the rest fits.
CUTS = (
    ("", lambda _: False),
    ("the SQL of statements without a finding", lambda part: part == "harmless sql"),
    ("the SQL", lambda part: part.endswith("sql")),
    ("the SQL and the tables of statements", lambda part: part.endswith("sql") or part == "table"),
    ("the SQL, the tables of statements and all notes", lambda part: part.endswith("sql") or part in ("table", "quiet")),
)  # fmt: skip


def render(review: Review) -> str:
    """The page, short enough for a comment on GitHub; what had to be left out is said at its top."""
    parts = [(None, _head(review)), *(part for sheet in words.ordered(review) for part in _sheet(sheet))]
    for what, dropped in CUTS:
        page = _page(parts, what, dropped)
        if len(page) <= LIMIT:
            return page
    return _begun(parts)


def _page(parts: Sequence[tuple[str | None, str]], what: str, dropped: Callable[[str], bool]) -> str:
    first, *rest = [part for kind, part in parts if not dropped(kind or "")]
    said = [f"_Too long for one comment: {what} left out. `pgyoyo review` shows all of it._"] if what else []
    return "\n\n".join([first, *said, *rest]) + "\n"


def _begun(parts: Sequence[tuple[str | None, str]]) -> str:
    """As much of the findings as there is room for, the worst sheets first."""
    said = "_Too long for one comment: it ends where the room does. `pgyoyo review` shows all of it._"
    shown = [parts[0][1] if len(parts[0][1]) < LIMIT // 2 else parts[0][1].split("\n\n")[0], said]
    room = LIMIT - sum(map(len, shown))
    for kind, part in parts[1:]:
        if (kind or "").endswith("sql") or kind in ("table", "quiet"):
            continue
        room -= len(part) + 2
        if room < 0:
            break
        shown.append(part)
    return "\n\n".join(shown) + "\n"


def _head(review: Review) -> str:
    grid = _grid(
        ("migration", "verdict", "findings", "rollback"),
        (
            (_plain(sheet.id), verdict(sheet.worst), words.counts(sheet.findings), _undo_word(sheet))
            for sheet in words.ordered(review)
        ),
    )
    if not review.sheets:
        return f"## {_plain(last_line(review))}"
    lines = "\n".join(_plain(line) for line in words.made_on(review))
    return "\n\n".join((f"## {last_line(review)}", grid, lines))


def _sheet(sheet: Sheet) -> Iterator[tuple[str | None, str]]:
    """The parts of a sheet, each with what it is; None: always shown."""
    title = f" {_plain(sheet.title)}" if sheet.title else ""
    yield None, f"### {_plain(sheet.id)}: {verdict(sheet.worst)}"
    yield None, f"{_code(str(sheet.path))}, {words.shape(sheet)}.{title}"
    found = words.worst_first(sheet.findings)
    advice: set[tuple[str, str]] = set()
    for one in found:
        if one.weight < 2:
            new = (one.hurts, one.safer) not in advice
            yield None, _finding(one if new else replace(one, hurts="", safer=""), sheet)
            advice.add((one.hurts, one.safer))
    rows = runs(sheet)
    if rows:
        yield "table", _grid(COLUMNS, (_row(run, sheet) for run in rows), empty=True)
    if quiet := words.places([one for one in found if one.weight >= 2]):
        yield "quiet", "\n".join(_quiet(one, lines, sheet) for one, lines in quiet)
    yield None, "\n".join(_facts(sheet))
    marked = {one.statement for one in found if one.weight < 2}
    loud = [run for run in rows if run.first.number in marked]
    harmless = [run for run in rows if run.first.number not in marked]
    if loud:
        yield "marked sql", _folded("SQL with findings", _sql(loud))
    if harmless:
        yield "harmless sql", _folded("other SQL" if loud else "SQL", _sql(harmless))
    if sheet.undo_sql.strip():
        yield "rollback sql", _folded("SQL of the rollback", _fence(sheet.undo_sql))


def _finding(one: Finding, sheet: Sheet) -> str:
    parts = [f"**{one.severity}** {_place(one, sheet)} {_code(one.rule)}", _told(one.happens)]
    if one.hurts:
        parts.append(_broken(one.hurts))
    if words.is_sql(one.safer):
        parts.append(_fence(_cut(one.safer)))
    elif one.safer:
        parts.append(f"→ {_broken(one.safer)}")
    first, *rest = "\n\n".join(parts).split("\n")
    return "\n".join([f"- {first}", *(f"  {line}" if line else "" for line in rest)])


def _quiet(one: Finding, lines: str, sheet: Sheet) -> str:
    place = lines if one.path == sheet.path else _place(one, sheet)
    if one.allowed:
        return f"- allowed {place} {_code(one.rule)}: {_plain(one.allowed)}"
    return f"- {one.severity} {place} {_code(one.rule)}: {_plain(one.happens)}"


def _place(one: Finding, sheet: Sheet) -> str:
    return f"L{one.line}" if one.path == sheet.path else _code(f"{one.path}:{one.line}")


def _facts(sheet: Sheet) -> Iterator[str]:
    for name, live in sheet.live.items():
        yield f"- live: {_plain(words.live_words(name, live))}"
    seen = "; ".join(words.untold_lines(sheet))
    yield f"- rollback: {_plain(words.undo_words(sheet.undo))}" + (f": {_plain(seen)}" if seen else "")
    for note in sheet.notes:
        yield f"- also: {_plain(note)}"


def _undo_word(sheet: Sheet) -> str:
    return sheet.undo.word + (", lossy" if sheet.undo.lossy else "")


def _row(run: Run, sheet: Sheet) -> tuple[str, ...]:
    one = run.first
    if run.state != RAN:
        state = "**failed**" if run.state == FAILED else run.state
        return (run.numbers, run.lines, _code(run.name), "", "", "", state, "", "")
    locks = [lock for lock in words.shown_locks(one) if lock.relation.existed]
    takes = "<br>".join(_plain(words.lock_words(lock, sheet.live)) for lock in locks)
    blocks = locks[0].blocks.removeprefix("blocks ") if locks else ""
    return (
        run.numbers, run.lines, _code(run.name), takes, blocks, _plain(words.held_words(one)),
        _plain(words.work_words(run)), _code(words.changes_words(run)), words.measured_words(run),
    )  # fmt: skip


def _sql(rows: Sequence[Run]) -> str:
    return "\n\n".join(part for run in rows for part in _statement(run))


def _statement(run: Run) -> Iterator[str]:
    yield f"{run.numbers}, line {run.lines}" + (f": {_code(run.name)}, the first of them" if run.folded else "")
    yield _fence(_whole(run.first))
    if run.first.changes and not run.folded:
        yield "in the catalog:\n\n" + _fence("\n".join(map(str, run.first.changes)), "text")


def _whole(one: Seen) -> str:
    return one.sql.rstrip() + ("" if one.sql.rstrip().endswith(";") else ";")


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"


def _fence(said: str, language: str = "sql") -> str:
    """A block of SQL, or of other text, fenced by more backticks than it holds."""
    shown = printable(said).strip("\n")
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown) or [""]))
    return f"{ticks}{language}\n{shown}\n{ticks}"


def _grid(header: Sequence[str], rows: Iterator[tuple[str, ...]], *, empty: bool = False) -> str:
    """A table; with `empty`, columns in which nothing stands are left out."""
    cells = [tuple(header), *rows]
    used = [i for i in range(len(header)) if not empty or any(row[i] for row in cells[1:])]
    lines = ["| " + " | ".join(row[i] for i in used) + " |" for row in cells]
    return "\n".join([lines[0], "|--" * len(used) + "|", *lines[1:]])


def _plain(said: str) -> str:
    """Words on one line that Markdown takes as they are, and in which GitHub sees nobody to notify, nor an issue."""
    shown = page.text(printable(_cut(said)))
    return re.sub("[@#](?=[\\w])", r"\g<0><!-- -->", shown)


def _code(said: str) -> str:
    return page.code(printable(_cut(said)))


def _told(said: str) -> str:
    """What happens; as it is where a caret points at something."""
    return _fence(_cut(said), "text") if words.pictured(said) else _broken(said)


def _broken(said: str) -> str:
    """The same with its line breaks."""
    return "<br>".join(_plain(line) for line in _cut(said.strip()).split("\n"))


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} …"
