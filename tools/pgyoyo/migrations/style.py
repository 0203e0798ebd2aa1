"""The next id in the style of those that are there: numbers, dates, times, yoyo's own names."""

import re
import secrets
import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

# A time of day or a date at the beginning of an id, as strptime reads it, by the digits that it looks like.
_TIMES = (
    (re.compile(r"\d{4}_\d\d_\d\d_\d{6}(?!\d)"), "%Y_%m_%d_%H%M%S"),
    (re.compile(r"\d{8}[T_-]\d{6}(?!\d)"), ""),  # its separator is taken from the id
    (re.compile(r"\d{14}(?!\d)"), "%Y%m%d%H%M%S"),
    (re.compile(r"\d{12}(?!\d)"), "%Y%m%d%H%M"),
)
_DATES = (
    (re.compile(r"\d{4}-\d\d-\d\d(?!\d)"), "%Y-%m-%d"),
    (re.compile(r"\d{4}_\d\d_\d\d(?!\d)"), "%Y_%m_%d"),
    (re.compile(r"\d{8}(?!\d)"), "%Y%m%d"),
)
_COUNTED = re.compile(r"([_.-]?)(\d{2})(?=[_.-])")
# yoyo/scripts/newmigration.py: date, number of the day, five letters or digits, the words behind a hyphen.
_YOYO = re.compile(r"_([0-9A-Za-z]{5})-")


def next_id(ids: Sequence[str], name: str, now: datetime, *, prefix: str = "") -> str:
    """The id of a new migration called `name`, after all of `ids` by name wherever their style allows that.

    The last one with a number sets the style; where there is none, the first is 0001 behind `prefix`. `now` is in UTC.
    """
    numbered = [
        (match[1], known) for known in ids if (match := re.match(r"(\D*)\d", known)) and match[1] in _prefixes(ids)
    ]
    if not numbered:
        return f"{prefix}0001_{name}"
    front, last = max(numbered, key=lambda pair: pair[1])
    same = [known.removeprefix(front) for known in ids if re.match(re.escape(front) + r"\d", known)]
    last = last.removeprefix(front)
    made = _by_time(last, name, now) or _by_date(same, last, name, now) or _by_epoch(last, name, now)
    return front + (made or _by_number(same, last, name))


def _prefixes(ids: Sequence[str]) -> set[str]:
    """The letters before the number in the ids that begin alike, V or m; "" where numbers come first."""
    first = [match[1] for known in ids if (match := re.match(r"([A-Za-z_.-]{0,30}?)\d", known))]
    return {""} if "" in first else {prefix for prefix in first if re.fullmatch(r"[A-Za-z]|[A-Za-z]\w*[_.-]", prefix)}


def _by_time(last: str, name: str, now: datetime) -> str | None:
    for pattern, layout in _TIMES:
        if (match := pattern.match(last)) and (at := _parsed(match[0], layout := layout or f"%Y%m%d{last[8]}%H%M%S")):
            # Two in one second, or the last one is from a clock that is ahead.
            after = at + timedelta(seconds=1 if "%S" in layout else 60)
            return max(now, after).strftime(layout) + _rest(last[match.end() :], name)
    return None


def _by_date(same: Sequence[str], last: str, name: str, now: datetime) -> str | None:
    for pattern, layout in _DATES:
        if (match := pattern.match(last)) and (at := _parsed(match[0], layout)):
            day = max(now, at).strftime(layout)
            counted = _COUNTED.match(last, match.end())
            if not counted:
                return day + _rest(last[match.end() :], name)
            today = [known for known in same if known.startswith(day)]
            numbers = [int(count[2]) for known in today if (count := _COUNTED.match(known, len(day)))]
            rest = last[counted.end() :]
            start = f"{day}{counted[1]}{max(numbers, default=0) + 1:02d}"
            if _YOYO.match(rest):
                letters = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(5))
                return f"{start}_{letters}-{name.replace('_', '-')}"
            return start + _rest(rest, name)
    return None


def _by_epoch(last: str, name: str, now: datetime) -> str | None:
    """Seconds or milliseconds since 1970, of the years 2001 to 2286."""
    match = re.match(r"[1-9](?:\d{9}|\d{12})(?!\d)", last)
    if not match:
        return None
    unit = 1 if len(match[0]) == 10 else 1000
    return f"{max(int(now.timestamp() * unit), int(match[0]) + 1)}{_rest(last[match.end() :], name)}"


def _by_number(same: Sequence[str], last: str, name: str) -> str:
    numbers = [match[0] for known in same if (match := re.match(r"\d+", known))]
    number = max(map(int, numbers)) + 1
    digits = re.match(r"\d+", last)
    assert digits
    return f"{number:0{max(map(len, numbers))}d}{_rest(last[digits.end() :], name)}"


def _rest(rest: str, name: str) -> str:
    """The name behind the separator that the last id has."""
    separator = re.match(r"[_-]+|\.(?=[A-Za-z])", rest)  # 0001.create-foo is yoyo's own example
    mark = separator[0] if separator else "_"
    hyphens = mark.startswith("-") or (mark == "." and "-" in rest and "_" not in rest)
    return mark + (name.replace("_", "-") if hyphens else name)


def _parsed(text: str, layout: str) -> datetime | None:
    try:
        at = datetime.strptime(text, layout).replace(tzinfo=UTC)
    except ValueError:
        return None
    return at if 1970 <= at.year <= 2100 else None
