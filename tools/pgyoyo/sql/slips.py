"""What stands in SQL by a slip of an editor or of git, and looks like something else or like nothing."""

import re

_MARKER = re.compile(r"(?:<{7}|\|{7}|={7}|>{7})(?:\s|$)")
# Go, Jinja, Mustache; ERB; shell, Flyway, goose.
_TEMPLATE = re.compile(r"\{[{%]|<%|\$\{")
# What a word processor or a chat makes of the characters on the right.
_MEANT = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "- or --"),
}


def hint(line: str, column: int) -> str:
    """What to do about a slip where PostgreSQL stopped in a line, `column` counted from 1; "" where there is none."""
    if _MARKER.match(line):
        return "that line is left from a merge conflict; resolve it"
    # As PostgreSQL's scanner sees it, a word ends at none of these.
    word = re.split(r"[ \t\n\r\f\v]", line[max(column - 1, 0) :], maxsplit=1)[0]
    if mark := _TEMPLATE.match(word):
        return f"{mark[0]} is a template's; write what stands in its place when the template is filled"
    if word[:1] in ("'", '"', "$"):
        return ""
    for character in word:
        code = f"U+{ord(character):04X}"
        if character > "\x7f" and character.isspace():
            return f"{code}, which looks like a space, is a letter to PostgreSQL; write a space"
        if character in _MEANT:
            return f"{character} ({code}) is a letter to PostgreSQL; write {_MEANT[character]}"
    return ""
