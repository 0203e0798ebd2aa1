"""Rows for a scale trial: as many as asked for, of values that the constants of a statement meet."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from pgyoyo.scratch.sample_values import values_of

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BIGGEST = {"int2": 32_767, "int4": 2_147_483_647, "int8": 2**62, "oid": 2**31, "numeric": 10**15, "float4": 10**6}
_ELSEWHERE = 10_000
_GROUPS = 16  # of rows that share a value

Column = Mapping[str, Any]
Types = Mapping[str, Mapping[str, Any]]


def values(
    column: Column, constants: Sequence[str], types: Types, count: int, *, digits: bool = False
) -> Iterator[str | None]:
    """The values of a column in the rows from the first to that one, as texts that its type takes.

    In a column that tells rows apart each row has its own or none, and the first rows have the constants. In any other, half
    of the rows have a constant or lie around one, some have none, some share a value, and the rest have their own.
    `constants` are texts that the type takes; `types` as sample_values.values_of knows them; `digits`: texts are numbers.
    """
    own: set[str] = set(constants)
    for n in range(1, count + 1):
        choice, which = _mixed(n, column["name"])
        if n <= len(constants):
            # The last ones are those of a WHERE: SET comes first.
            yield constants[-n]
        elif choice == 6 and column["nullable"]:
            yield None
        elif column["unique"]:
            near = constants[which % len(constants)] if constants and n % 2 else None
            value = _own(column, near, n, types, digits=digits)
            value = value if value not in own else _own(column, None, n + _ELSEWHERE, types, digits=digits)
            own.add(value)
            yield value
        elif constants and choice < 6:
            constant = constants[which % len(constants)]
            yield constant if choice < 4 else _own(column, constant, which % 2_000 - 1_000, types, digits=digits)
        else:
            yield _own(column, None, n if choice < 9 else 1 + which % _GROUPS, types, digits=digits)


def linked(
    column: Column, link: str, targets: Sequence[str | None], constants: int, *, meant: bool
) -> Iterator[str | None]:
    """The values of a column of a foreign key, from those of the column it points to, whose first ones are constants.

    `meant`: the constants are about this column too; otherwise few rows point to each of them.
    """
    for n in range(1, len(targets) + 1):
        choice, which = _mixed(n, link)
        if n <= constants:
            yield targets[n - 1]
        elif choice == 6 and column["nullable"]:
            yield None
        elif column["unique"]:
            yield targets[n - 1]
        elif choice < 6 and constants and meant:
            yield targets[which % constants]
        else:
            yield targets[n - 1 if choice < 9 else constants + which % min(_GROUPS, n - constants)]


def _mixed(n: int, name: str) -> tuple[int, int]:
    """Two numbers for a row of a column, the first below 12."""
    which, choice = divmod(crc32(f"{n} {name}".encode()), 12)
    return choice, which


def _own(column: Column, near: str | None, n: int, types: Types, *, digits: bool) -> str:
    """The n-th value of a type, or one at that distance from a constant."""
    base, length = column["base"], column["length"]
    match column["category"]:
        case "N":
            number = n + (int(float(near)) if near else 0)
            limit = 10**length - 1 if length else _BIGGEST.get(base, 10**9)
            return str(number if abs(number) <= limit else n % (limit + 1))
        case "D" if base in ("time", "timetz"):
            return f"{n // 3_600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}"
        case "D":
            return _time(near, n)
        case "B":
            return "true" if n % 2 else "false"
        case "E":
            return str(column["labels"][n % len(column["labels"])])
        case "S" if base != "char":
            text = str(n) if digits else f"s{n}" if near is None else f"{near.replace('%', str(n))}{n}"
            return text if not length or len(text) <= length else str(abs(n))[-length:]
        case "T":
            return f"{n} minutes"
        case "R":
            return "{}" if "multirange" in base else "empty"
        case "I":
            return f"10.{n // 65_536 % 256}.{n // 256 % 256}.{n % 256}"
        case "A":
            return "{}"
    return values_of(types, column["oid"], column["typmod"], abs(n), "")[0]


def _time(near: str | None, n: int) -> str:
    """A time that many days after a constant; else one of the years around now, a day and a second from the next."""
    if near:
        try:
            return str(datetime.fromisoformat(near).replace(tzinfo=UTC) + timedelta(days=n))
        except (ValueError, OverflowError):
            pass
    days = n * 7_919 % 7_300 - 5_475 if n > 0 else n
    return str(_START + timedelta(days=days, seconds=n))


def is_exotic(column: Column) -> bool:
    """Whether to make values of it takes a look at its type."""
    return column["category"] not in "NDBESTRIA" or column["base"] == "char" or column["base"].startswith("reg")
