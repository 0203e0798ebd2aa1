"""Texts that a column may take, by its type and by what its constraints say."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pgyoyo.scratch.edges import edges
from pgyoyo.scratch.patterns import matching

# What checks of texts are often about: codes, addresses, numbers, colours. a, A and 0 become others from row to row.
_TEXTS = ("A", "AA", "AAA", "a", "aa", "0", "00", "0000", "00000", "a1", "A1", "a@b.example", "https://a.example/", "/a",
          "+46701234567", "#aabbcc", "1999-12-31", "a-b", "00000000-0000-4000-8000-000000000000", "10.0.0.1",
          "1.0.0")  # fmt: skip
# The regular expressions that a check wants its text to match.
_MATCHED = re.compile(r"(?<!!)~\*? *(?P<similar>(?:\w+\.)?similar_to_escape\()?'(?P<pattern>(?:[^']|'')*)'")
_LONGEST, _LONG_ARRAY = 5_000, 50  # bytes or characters, elements
_SHAPES = {
    "uuid": "00000000-0000-4000-8000-{:012d}", "json": '{{"n": {}}}', "jsonb": '{{"n": {}}}', "bytea": "\\x{:02x}",
    "xml": "<n>{}</n>", "inet": "10.0.0.{}", "cidr": "10.0.0.{}", "macaddr": "08:00:2b:01:02:{:02x}",
    "macaddr8": "08:00:2b:01:02:03:04:{:02x}", "point": "({0},{0})", "line": "{{1,1,{}}}", "lseg": "[({0},0),(0,{0})]",
    "box": "({0},{0}),(0,0)", "path": "(({0},0),(0,{0}))", "polygon": "(({0},0),(0,{0}))", "circle": "<(0.1,0.2),{}>",
    "pg_lsn": "0/{}", "tid": "(0,{})", "tsvector": "s{}", "tsquery": "s{}", "hstore": "n=>{}", "jsonpath": "$.n{}",
    "txid_snapshot": "{0}:{0}:", "pg_snapshot": "{0}:{0}:", "char": "a", "interval": "{} hours", "ltree": "s{}",
    "geometry": "POINT({0} {0})", "geography": "POINT({0} {0})",
}  # fmt: skip


def values_of(
    types: Mapping[str, Mapping[str, Any]], oid: str, typmod: int, n: int, hints: str, *, edge: int = 0
) -> list[str]:
    """Texts that the type may take, the n-th one first; with `edge` that one at the edge of its type, counted from 1."""
    kind = types[oid]
    values = _values(types, kind, typmod, n, hints, edge)
    if edge and kind["kind"] == "b" and not (kind["category"] == "A" and kind["of"]):
        far = edges(kind, typmod)
        values = [*far[edge - 1 :][:1], *values]
    return values


def _values(
    types: Mapping[str, Mapping[str, Any]], kind: Mapping[str, Any], typmod: int, n: int, hints: str, edge: int
) -> list[str]:
    if kind["kind"] == "d":
        return values_of(types, kind["of"], kind["typmod"], n, f"{hints} {kind['checks']}", edge=edge)
    if kind["kind"] == "e":
        return rotated(kind["labels"], n)
    if kind["kind"] in ("r", "m"):
        low, high = (values_of(types, kind["of"], -1, 10 * n + more, "")[0] for more in (0, 5))
        forms = (
            ['["{}","{}")', '("{}","{}"]', "[,)", '("{}",)']
            if kind["kind"] == "r"
            else ['{{["{}","{}")}}', "{{(,)}}", "{{}}"]
        )
        texts = [form.format(low, high) for form in forms]
        return [*texts[edge : edge + 1], *texts[:1], "empty" if kind["kind"] == "r" else "{}"]
    if kind["kind"] == "c":
        fields = [values_of(types, field, mod, n, "", edge=edge) for field, mod in kind["fields"]]
        return [
            "(" + ",".join(_quoted(values[i % len(values)]) for values in fields) + ")"
            for i in range(max(map(len, fields), default=1))
        ]
    if kind["category"] == "A" and kind["of"]:
        parts = [_quoted(value) for value in values_of(types, kind["of"], typmod, n, hints, edge=edge)]
        several = ["{" + ",".join([parts[0], "NULL", *parts[1:2]]) + "}", "{}"][edge - 1 : edge] if edge else []
        longer = [
            "{" + ",".join(parts[:1] * size) + "}"
            for size in _sizes(re.findall(r"\b\d+\b", hints))
            if size < _LONG_ARRAY
        ]
        return [*several, *("{" + part + "}" for part in parts), *longer, "{}"]
    return _base_values(kind, typmod, n, hints)


def _base_values(kind: Mapping[str, Any], typmod: int, n: int, hints: str) -> list[str]:
    strings = listed_texts(hints)
    numbers = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", hints)
    sizes = [size for size in _sizes(numbers) if size < _LONGEST]
    match kind["category"]:
        case "B":
            return rotated(["true", "false"], n)
        case "N":
            whole = (typmod - 4 >> 16) - (typmod - 4 & 0x7FF) if kind["name"] == "numeric" and typmod > 3 else 4
            first = n % 10**whole if whole > 0 else f"{n % 10}e-{max(1, typmod - 4 & 0x7FF)}"
            near = [f"{float(x) + d:g}" for x in numbers for d in (0, 1, -1, 0.5)]
            return [str(first), *rotated(near, n), *(str(n + d) for d in (10, 20, 30, 100)), "0", "0.5", "-1"]
        case "D":
            times = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n, hours=n % 24) for year in (2001, 2026, 2101)]
            return [*map(str, times), *(text for text in strings if re.match(r"\d{2,4}[-:]", text))]
        case "S" if kind["name"] != "char":
            length = typmod - 4 if typmod > 4 else 0
            lengths = [str(n).rjust(size, str(n)[-1])[-size:] for size in sizes]
            patterns = [text for each in _MATCHED.finditer(hints) if (text := matching(_pattern(each), n))]
            turned = str.maketrans("aA0", chr(97 + (n - 1) % 6) + chr(65 + (n - 1) % 26) + str(n % 10))
            common = [text.translate(turned) for text in _TEXTS]
            texts = [
                f"s{n}",
                *patterns,
                *rotated(strings, n),
                *lengths,
                *common,
                *(f"s{n + d}" for d in (10, 20, 30, 100)),
            ]
            return [text[-length:] if length else text for text in texts]
        case _ if kind["name"] == "bytea":
            of_size = [f"\\x{n % 256**size:0{2 * size}x}" for size in (max(1, (n.bit_length() + 7) // 8), *sizes)]
            return list(dict.fromkeys(of_size))
        case _ if kind["name"] in ("json", "jsonb"):
            return [*(_SHAPES[kind["name"]].format(n + d) for d in (0, 10, 20)), f"[{n}]", f'"s{n}"', f"{n}", "true"]
        case "V":
            size = max(typmod, 1) if kind["name"] == "bit" else 8
            return [f"{n + d:0{size}b}"[-size:] for d in (0, 1, 2, 3)]
        case _:
            if kind["name"] == "vector":
                return [json.dumps([n] * max(typmod, 1))]
            shapes = [_SHAPES[kind["name"]]] if kind["name"] in _SHAPES else ["{}", "s{}", "({0},{0})"]
            return [shape.format(n + d) for shape in shapes for d in (0, 10, 20)]


def _pattern(operand: re.Match[str]) -> str:
    """The regular expression, that of a SIMILAR TO with its wildcards in place."""
    pattern = operand["pattern"].replace("''", "'")
    return pattern.replace("%", "").replace("_", ".") if operand["similar"] else pattern


def _sizes(numbers: Sequence[str]) -> list[int]:
    """The lengths that a check with these numbers may be about."""
    whole = [int(number) for number in numbers if number.isdecimal()]
    return list(dict.fromkeys(size for number in whole for size in (number, number + 1, number - 1) if size > 0))


def listed_texts(hints: str) -> list[str]:
    """The literals of a check."""
    return list(dict.fromkeys(text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", hints)))


def choices_of(types: Mapping[str, Mapping[str, Any]], oid: str) -> int:
    """How many values an enum has, or a domain's check lists, also inside an array or a domain."""
    kind = types[oid]
    inner = choices_of(types, kind["of"]) if kind["of"] else 0
    return max(inner, len(kind["labels"]), len(listed_texts(kind["checks"])))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def rotated(values: Sequence[Any], n: int) -> list[Any]:
    """The same, beginning with the n-th, counted from 1."""
    start = (n - 1) % len(values) if values else 0
    return [*values[start:], *values[:start]]
