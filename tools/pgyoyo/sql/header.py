"""The header of a migration file: its leading comments, and the directives among them, read strictly."""

import re
from typing import NamedTuple

from pgyoyo.errors import closest
from pgyoyo.units import is_window

# yoyo 9.0.0 knows the first two, in every file that applies something (yoyo/migrations.py, parse_metadata_from_sql_comments).
BOTH = ("transactional", "lock-timeout", "statement-timeout")
APPLY_ONLY = ("depends", "backfill", "phase")
ROLLBACK_ONLY = ("lossy", "irreversible")
KNOWN = (*BOTH, *APPLY_ONLY, *ROLLBACK_ONLY)
EXPAND, CONTRACT = "expand", "contract"
PHASES = (EXPAND, CONTRACT)

_DIRECTIVE = re.compile(r"^\s*--\s*([A-Za-z][\w-]*)\s*:\s*(.*?)\s*$")
_DURATION = r"([0-9]{1,10})\s*(ms|s|min|h)?"
_OPTION = (
    r"(target)\s+(\d{1,6}\s*(?:ms|s))|(triggers)\s+(fire|skip)|(functions)\s+(fire)|(order)\s+(newest|oldest)"
    r"|(window)\s+([0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d)"
)
_NUMBER = r"(\d+)\s*(ms|s)"
_MILLISECONDS = {None: 1, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
# PostgreSQL keeps these settings in an integer of milliseconds.
_LONGEST = 2**31 - 1

# (line, message)
Fault = tuple[int, str]


class Batched(NamedTuple):
    """`backfill: batched` and what follows it; target in milliseconds, the rest empty where it is not given."""

    target: int | None = None
    triggers: str = ""
    functions: str = ""
    order: str = ""
    window: str = ""


class Header(NamedTuple):
    """A file's title and directives; timeouts in milliseconds, None where the file has none, `phase` one of PHASES or ""."""

    title: str = ""
    depends: tuple[str, ...] = ()
    transactional: bool = True
    lock_timeout: int | None = None
    statement_timeout: int | None = None
    backfill: "Batched | None" = None
    lossy: str | None = None
    irreversible: str | None = None
    phase: str = ""


def parse(comments: str, *, rollback: bool) -> tuple[Header, list[Fault]]:
    """The header in the text before a file's first statement, with everything that is wrong in it.

    Prose may hold colons: a line counts as a misspelt directive only when its word is a known one in another case or
    a letter or two away. In a rollback file yoyo ignores depends: it is read, for whoever compares it.
    """
    if not any(mark in comments for mark in (":", "/*", "\r")):
        # Most rollback files, so that reading thousands takes a third less.
        title = comments.strip().partition("\n")[0].removeprefix("--").strip()
        if title:
            return Header(title), []
    faults: list[Fault] = []
    values: dict[str, tuple[int, str]] = {}
    title = ""
    seen_block = False
    # The lines that PostgreSQL and yoyo see: splitlines() would also break at form feeds and Unicode's separators.
    for number, line in enumerate(re.split(r"\r\n|\n|\r", comments), start=1):
        seen_block = seen_block or (not line.lstrip().startswith("--") and "/*" in line)
        match = _DIRECTIVE.match(line) if ":" in line else None
        name = match[1] if match else ""
        if name not in KNOWN:
            if name and (near := _near(name, match[2] if match else "")):
                faults.append((number, f'unknown header "{name}"; did you mean {near}?'))
            elif not seen_block:
                title = title or line.strip().removeprefix("--").strip()
            continue
        assert match is not None
        if seen_block:
            faults.append((number, f"{name} comes after a /* */ comment, where yoyo does not read it; move it above"))
        elif name in values and name != "depends":
            faults.append((number, f"{name} is given twice (first on line {values[name][0]}); keep one"))
        elif name in (APPLY_ONLY if rollback else ROLLBACK_ONLY) and name != "depends":
            where = "the migration's own file" if rollback else "the rollback file"
            faults.append((number, f"{name} has no meaning here; it belongs in {where}"))
        else:
            earlier = values[name][1] + " " if name in values else ""
            values[name] = (number, earlier + match[2])
    fields: dict[str, object] = {"title": title}
    for name, (number, value) in values.items():
        result, fault = _value(name, value)
        if fault:
            faults.append((number, fault))
        else:
            fields[name.replace("-", "_")] = result
    return Header(**fields), faults  # type: ignore[arg-type]  # _value gives each name its type


def _value(name: str, value: str) -> tuple[object, str | None]:
    """The value in its type, or what is wrong with it."""
    if name == "transactional":
        if value.lower() not in ("true", "false"):
            return None, f'transactional is "{value}"; it must be true or false'
        return value.lower() == "true", None
    if name == "depends":
        return tuple(value.split()), None
    if name in ("lock-timeout", "statement-timeout"):
        match = re.fullmatch(_DURATION, value)
        if not match or (duration := int(match[1]) * _MILLISECONDS[match[2]]) > _LONGEST:
            return None, f'{name} is "{value}"; write a time such as 500ms, 5s, 2min (596h at most) or 0 (no limit)'
        return duration, None
    if name == "backfill":
        return _batched(value)
    if name == "phase":
        return (value, None) if value in PHASES else (None, f'phase is "{value}"; it must be expand or contract')
    if not value:
        return None, f"{name} has no reason; write one after the colon"
    return value, None


def _batched(value: str) -> tuple[Batched | None, str | None]:
    word, *rest = (part.strip() for part in value.split(","))
    options: dict[str, str] = {}
    for part in rest:
        match = re.fullmatch(_OPTION, part)
        name, given = filter(None, match.groups()) if match else ("", "")
        if not name or name in options:
            word = ""
            break
        options[name] = given
    number, unit = re.fullmatch(_NUMBER, options.get("target", "0ms")).groups()  # type: ignore[union-attr]  # as _OPTION has it
    target = int(number) * _MILLISECONDS[unit]
    if not is_window(options.get("window", "")):
        word = ""
    if word != "batched" or target > 60_000 or ("target" in options and target < 1):
        return None, (
            f'backfill is "{value}"; write "batched", then, separated by commas, "target 50ms" (60s at most), '
            '"triggers fire" or "triggers skip", "functions fire", "order newest" or "order oldest", '
            '"window 22:00-06:00"'
        )
    rest_ = (options.get(name, "") for name in ("triggers", "functions", "order", "window"))
    return Batched(target or None, *rest_), None


def _near(name: str, value: str) -> str | None:
    """The directive that a word was probably meant to be: the same in another case, or a letter or two away.

    "Phase 2: ..." and "Phase: cleanup" are prose; what is near to phase was meant so only where its value is, too.
    """
    near = closest(name.lower().replace("_", "-"), KNOWN, cutoff=0.8)
    return near if near != "phase" or closest(value.lower(), PHASES, cutoff=0.8) else None
