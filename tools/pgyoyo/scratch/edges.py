"""Values at the edges of types: what a conversion loses shows there, not in everyday values."""

from collections.abc import Mapping
from typing import Any

# Mild ones first: a migration that can't take the last ones may still be tried with the others.
_BY_NAME = {
    "int2": ("200", "-32768"),
    "int4": ("70000", "16777217", "-2147483648"),
    "int8": ("70000", "9007199254740993", "-9223372036854775808"),
    "float4": ("1234.5", "-16777216", "NaN"),
    "float8": ("1234.5678", "-0.12345678901234568", "Infinity"),
    "money": ("1234.56", "-0.01"),
    "date": ("2024-02-29", "0044-03-15 BC", "infinity"),
    # In the hour that summer time gives twice in Europe, and in no zone's round hour.
    "timestamp": ("2024-02-29 23:59:59.123456", "2024-10-27 02:30:00.5", "infinity"),
    "timestamptz": ("2024-02-29 23:59:59.123456+05:30", "2024-10-27 01:30:00.5+00", "infinity"),
    "time": ("23:59:59.123456", "00:00:00", "24:00:00"),
    "timetz": ("23:59:59.123456+05:30", "00:00:00-12", "24:00:00+00"),
    "interval": ("1 year 2 mons 3 days 04:05:06.123456", "-400 days", "-36:00:00.5"),
    "bytea": ("\\x00ff10", "\\x"),
    "uuid": ("ffffffff-ffff-4fff-bfff-ffffffffffff", "00000000-0000-0000-0000-000000000000"),
    "json": ('{"b": 1.50, "a": [null, "Ä", {"x": true}], "b": 2}', "[]"),
    "jsonb": ('{"b": 1.50, "a": [null, "Ä", {"x": true}]}', "[]"),
    "inet": ("10.1.2.3/8", "2001:db8::1/64"),
    "cidr": ("10.1.0.0/16", "2001:db8::/32"),
    "point": ("(1.5,-2.25)",),
    "tsvector": ("'cat':1A 'fat':2B,3",),
    "name": (" Ab Ü ", "Long" * 15),
    "char": ("Z",),
}
_TEXT = " Ab Ü "
_LONG = ("Long TEXT with blanks and an ü " * 10)[:300]


def edges(kind: Mapping[str, Any], typmod: int) -> tuple[str, ...]:
    """Texts that the base type takes with this modifier, from mild to extreme."""
    name = kind["name"]
    if name == "numeric":
        return _of_numeric(typmod)
    if name in ("varbit", "bit"):
        size = typmod if typmod > 0 else 1 if name == "bit" else 11
        return ("1" * size,) if name == "bit" else ("10110011100"[:size], "")
    if name not in _BY_NAME and kind["category"] == "S":
        length = typmod - 4 if typmod > 4 else 0
        if not length:
            return (_TEXT, _LONG, "")
        return (_fitted(length), (_LONG * (1 + length // len(_LONG)))[: length - 1] + "X", "")
    return _BY_NAME.get(name, ())


def _fitted(length: int) -> str:
    """Blanks on both sides and a capital, as far as there is room."""
    return _TEXT if length >= len(_TEXT) else " A "[:length] if length > 1 else "Z"


def _of_numeric(typmod: int) -> tuple[str, ...]:
    if typmod < 4:
        return ("1234.5678", "-12345678901234567890.123456789", "NaN")
    precision, scale = typmod - 4 >> 16, typmod - 4 & 0x7FF
    scale = scale - 0x800 if scale & 0x400 else scale  # it may be below zero since PostgreSQL 15
    if scale <= 0:
        return ("7" + "0" * -scale, "-" + "9" * precision + "0" * -scale, "NaN")
    whole = precision - scale
    fraction = "0" * max(0, -whole) + "7" * min(precision, scale)
    return (f"0.{fraction}", f"-{'9' * max(0, whole) or '0'}.{fraction}", "NaN")
