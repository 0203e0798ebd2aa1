"""The SQL files that a Python migration stands for: what is run for it, shown, and written by `pgyoyo convert`."""

import ast
import io
import re
import textwrap
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pgyoyo.migrations.python import steps as reading
from pgyoyo.migrations.python.steps import Fault, Part, Steps
from pgyoyo.sql import header, psql_scanner
from pgyoyo.sql.lexer import leading_comments_end
from pgyoyo.text import printable_line

# Comments for other programs than a reader.
_PRAGMA = re.compile(
    r"#\s*(?:!|-\*-|(?:noqa|type|pylint|flake8|fmt|ruff|mypy|isort|pragma|pyright|vim?|coding)\s*[:=]|noqa\b|nosec\b)"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A file of SQL; `lines` has the line of the Python file for each of its own.

    `blocked` are the steps that are not run here, by line.
    """

    data: bytes
    lines: tuple[int, ...]
    blocked: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Texts:
    """Both files of a Python migration; `rollback` is None where no step has one."""

    apply: Text
    rollback: Text | None
    depends: tuple[str, ...] = ()
    transactional: bool = True


@dataclass(slots=True)
class _Lines:
    """A text in the making."""

    texts: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def add(self, text: str, line: int, *, exact: bool = False) -> None:
        for i, part in enumerate(text.split("\n")):
            self.texts.append(part)
            self.sources.append(line + i if exact else line)

    def blank(self) -> None:
        if self.texts and self.texts[-1]:
            self.add("", self.sources[-1])


def read(data: bytes, migration_id: str, path: str) -> tuple[Texts | None, list[Fault]]:
    """The SQL of a Python file, and what is wrong in it; None where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an escape in a string: what Python itself says when it runs the file
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = (error.lineno if isinstance(error, SyntaxError) else 0) or 0
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        return None, [(line, f"is not Python that can be read: {words}")]
    module = reading.read(tree, path)
    comments = list(_comments(data))
    faults = list(module.faults)
    apply = _compose(module, comments, migration_id, "apply", faults)
    rollback = None
    if module.undecided or any(step.rollback for step in module.steps):
        rollback = _compose(module, [], migration_id, "rollback", faults)
    return Texts(apply, rollback, module.depends, module.transactional), faults


def _comments(data: bytes) -> Iterator[tuple[int, str]]:
    """The comments of a Python file that are for a reader, by line."""
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            if token.type == tokenize.COMMENT and not _PRAGMA.match(token.string):
                yield token.start[0], token.string.lstrip("#").strip()
    except (tokenize.TokenError, SyntaxError):  # ast has read it, so that only its comments are lost
        return


def _compose(
    module: Steps, comments: Sequence[tuple[int, str]], migration_id: str, way: str, faults: list[Fault]
) -> Text:
    lines, blocked, left = _Lines(), list[Fault](), list(comments)
    first = _first_line(module, left)
    own = _add_header(lines, module, [comment for comment in left if comment[0] < first], migration_id, way)
    left = [comment for comment in left if comment[0] >= first]
    if module.undecided:
        line, reason = module.undecided
        lines.blank()
        lines.add(f"-- From line {line} on only Python can tell what it does: {_single(reason)}.", line)
        blocked.append((line, f"{reason}, so that its SQL is not known"))
    for step in module.steps if way == "apply" else reversed(module.steps):
        part = step.apply if way == "apply" else step.rollback
        if part is None:
            continue
        lines.blank()
        while left and left[0][0] <= step.end:
            line, text = left.pop(0)
            lines.add(f"-- {text}".rstrip(), line)
        if part.code:
            lines.add(f"-- A step that only Python can run: {_single(part.code)}.", part.line)
            blocked.append((part.line, f"the step is {part.code}, which only Python can run"))
            continue
        if part.ignores:
            blocked.append(
                (step.line, f'ignore_errors would leave nobody knowing what was done ("{_single(part.sql)[:40]}")')
            )
        _add_sql(lines, part, module, faults)
    lines.blank()
    for line, text in left:
        lines.add(f"-- {text}".rstrip(), line)
    while lines.texts and not lines.texts[-1]:
        del lines.texts[-1], lines.sources[-1]
    _quote_directives(lines, own, rollback=way == "rollback")
    try:
        data = "".join(f"{text}\n" for text in lines.texts).encode()
    except UnicodeEncodeError as error:
        faults.append(
            (lines.sources[0] if lines.sources else 0, f"a string holds what is not text in UTF-8: {error.reason}")
        )
        data = b""
    return Text(data, tuple(lines.sources), tuple(blocked))


def _first_line(module: Steps, comments: Sequence[tuple[int, str]]) -> int:
    """The first line of the first step, with the comments right above it."""
    first = min((step.line for step in module.steps), default=0)
    commented = {line for line, _ in comments}
    while first - 1 in commented:
        first -= 1
    return first


def _single(text: str) -> str:
    return " ".join(text.split())


def _add_header(
    lines: _Lines, module: Steps, comments: Sequence[tuple[int, str]], migration_id: str, way: str
) -> range:
    """Begin the text with what the file says of itself; the numbers of the lines that are directives."""
    directives = []
    if way == "apply" and module.depends:
        directives.append(("-- depends: " + " ".join(module.depends), module.depends_line))
    if not module.transactional:
        directives.append(("-- transactional: false", 1))
    if way == "apply":
        for text in textwrap.dedent(module.doc.expandtabs()).strip().split("\n") if module.doc.strip() else ():
            lines.add(f"-- {printable_line(text.strip())}".rstrip(), 1)
        for line, text in comments:
            lines.add(f"-- {text}".rstrip(), line)
    else:
        lines.add(f"-- Undo {migration_id}.", 1)
    if lines.texts and directives:
        lines.add("--", 1)
    for text, line in directives:
        lines.add(text, line)
    return range(len(lines.texts) - len(directives), len(lines.texts))


def _add_sql(lines: _Lines, part: Part, module: Steps, faults: list[Fault]) -> None:
    """The SQL of a step, as statements that end where the step ends."""
    before = part.sql[: len(part.sql) - len(part.sql.lstrip())]
    line = part.line + before.count("\n") * part.exact
    text = _dedented(part.sql[before.rfind("\n") + 1 :].rstrip())
    ends, is_open = _ends(text)
    if is_open:
        faults.append((part.line, "a quote, comment or parenthesis of this step has no end; close it"))
    if not ends:
        text += "\n;" if "--" in text.rpartition("\n")[2] or text.endswith("*/") else ";"
    if part.ignores and module.transactional:
        quote = "$pgyoyo$" if "$pgyoyo$" not in text else "$pgyoyo_step$"
        text = f"DO $step$ BEGIN EXECUTE {quote}{text}{quote}; EXCEPTION WHEN OTHERS THEN NULL; END $step$;"
    lines.add(text, line, exact=part.exact)


def _ends(text: str) -> tuple[bool, bool]:
    """Whether the last statement ends with a semicolon of its own, and whether something in it is left open."""
    data = text.encode(errors="replace")
    mark = b"SELECT 'behind'"
    behind = data + b"\n;\n" + mark
    statements = psql_scanner.read(behind, 0).statements
    if not statements or behind[slice(*statements[-1])] != mark:
        return False, True
    return len(statements) == 1 or statements[-2][1] < len(data), False


def _dedented(text: str) -> str:
    """The text without the margin that its lines share, where no line is a part of a literal or a function's body."""
    rows = text.split("\n")
    if "$" in text or "\\" in text or any(row.count("'") % 2 or row.count('"') % 2 for row in rows):
        return text
    if rows[0][:1].isspace():
        return textwrap.dedent(text)
    return "\n".join([rows[0], *textwrap.dedent("\n".join(rows[1:])).split("\n")][: len(rows)])


def _quote_directives(lines: _Lines, own: range, *, rollback: bool) -> None:
    """Keep comments from being read as directives, which only those are that stand for __depends__ and __transactional__."""
    data = "\n".join(lines.texts).encode(errors="replace")
    end = data.count(b"\n", 0, leading_comments_end(data))
    for i, text in enumerate(lines.texts[: end + 1]):
        words, mark, rest = text.partition("--")
        if i in own or not mark or words.strip():
            continue
        head, wrong = header.parse(f"--{rest}", rollback=rollback)
        if wrong or head._replace(title="") != header.Header():
            lines.texts[i] = f"{words}-- ({rest.strip()})"
