"""Durations, sizes and counts as people write them."""

import math
import re
from collections.abc import Sequence

DASH = "\N{EN DASH}"  # between two numbers

_TIME = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|min|h)?")
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_SIZE = re.compile(r"(\d+)\s*(kB|MB|GB|TB)?")
_BYTES = {None: 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def seconds(text: str) -> float:
    """500ms, 60s, 10min, 2h, or a bare number of seconds; raises ValueError."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a duration; write 500ms, 60s or 10min')
    return float(match[1]) * _SECONDS[match[2]]


def size(text: str) -> int:
    """64MB, 1GB, or a bare number of bytes; raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a size; write 64MB or 1GB')
    return int(match[1]) * _BYTES[match[2]]


def share(text: str) -> float:
    """25% as 0.25, 0.1% as 0.001; raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*%", text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a percentage; write 10%')
    return float(match[1]) / 100


def size_words(size: float) -> str:
    """6.2 GB, in units of 1,024 bytes, as pg_size_pretty counts."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return (
                f"{size:.0f} {unit}"
                if unit == "bytes" or size >= 100
                else f"{size:.1f}".removesuffix(".0") + f" {unit}"
            )
        size /= 1024
    return f"{size:.1f} TB"


def time_words(milliseconds: float) -> str:
    """A duration with its unit: 250 ms, 3.2 s, 4 min 5 s."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    return f"{seconds // 60} min {seconds % 60} s"


def time_span(low: float, high: float) -> str:
    """Seconds from `low` to `high`, in two digits: 20 to 60 s, 1.7 to 40 min, under 1 s; "to" is a dash."""
    if high < 1:
        return f"under {1 if high > 0.1 else 0.1} s"
    scales = ((120, 1, "s"), (7200, 60, "min"), (math.inf, 3600, "h"))
    divisor, unit = next((divisor, unit) for limit, divisor, unit in scales if high < limit)
    return _span(_rough(low / divisor), _rough(high / divisor), unit)


def size_span(low: float, high: float) -> str:
    """Bytes from `low` to `high`, in two digits: 1.2 to 4 GB; "to" is a dash."""
    divisor, unit = next((size, unit) for unit, size in reversed(_BYTES.items()) if high >= size or unit is None)
    return _span(_rough(low / divisor), _rough(high / divisor), unit or "bytes")


def _span(low: str, high: str, unit: str) -> str:
    return f"{high} {unit}" if low == high else f"{low}{DASH}{high} {unit}"


def _rough(value: float) -> str:
    """A number in two digits: 0.04, 1.2, 35, 4200."""
    decimals = 1 - math.floor(math.log10(value)) if value else 0
    text = f"{round(value, decimals):.{min(max(decimals, 0), 2)}f}"
    return text.rstrip("0").rstrip(".") if decimals > 0 else text


def number(count: int, noun: str) -> str:
    """1 error, 2 errors, 3 indexes, 4 batches."""
    plural = "" if count == 1 else "es" if noun.endswith(("x", "ch")) else "s"
    return f"{count:,} {noun}{plural}"


def count_words(count: int) -> str:
    """48 million; 2,700."""
    if count >= 1_000_000_000:
        return f"{count / 1_000_000_000:.1f} billion"
    if count >= 1_000_000:
        return f"{count / 1_000_000:.3g} million"
    return f"{count:,}"


def several(ids: Sequence[str]) -> str:
    """Ids in a sentence: a, a and b, or a and 3 more."""
    if len(ids) <= 2:
        return " and ".join(ids)
    return f"{ids[0]} and {len(ids) - 1} more"


def lock_mode(name: str) -> str:
    """A mode of pg_locks as LOCK TABLE writes it: AccessExclusiveLock as ACCESS EXCLUSIVE."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Lock")).upper()


def is_window(text: str) -> bool:
    """Whether it is empty, or two times of the day, 22:00-06:00, that differ."""
    match = _WINDOW.fullmatch(text)
    return not text or (match is not None and match.group(1, 2) != match.group(3, 4))
