"""A column's new name in the definition of an index or constraint that the server has written."""

import re

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")+"|[A-Za-z_\x80-\U0010ffff][\w$]*|\s+|.""", re.DOTALL)
_REFERENCES = re.compile(r"^FOREIGN KEY (\(.*?\)) REFERENCES (.*?)(\([^()]*\))(.*)$", re.DOTALL)


def renamed(expression: str, old: str, new: str) -> str:
    """The text with the column's name replaced wherever it stands as a column: no function, type or part of another name."""
    tokens = _TOKEN.findall(expression)
    words = [token for token in tokens if not token.isspace()]
    result, place = [], 0
    for token in tokens:
        if not token.isspace():
            before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
            place += 1
            if token == old and before not in (".", ":") and after not in ("(", "."):
                token = new  # noqa: PLW2901 - this one is written
        result.append(token)
    return "".join(result)


def of_foreign_key(definition: str, old: str, new: str, *, refers: bool) -> str:
    """The definition with the column's name replaced in its own columns, or with `refers` in those that it refers to."""
    match = _REFERENCES.match(definition)
    assert match, definition
    own, table, referred, rest = match.groups()
    if refers:
        return f"FOREIGN KEY {own} REFERENCES {table}{renamed(referred, old, new)}{rest}"
    return f"FOREIGN KEY {renamed(own, old, new)} REFERENCES {table}{referred}{renamed(rest, old, new)}"
