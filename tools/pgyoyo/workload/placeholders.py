"""The placeholders of drivers and of libraries for .sql files, written as PostgreSQL's own: $1, $2 and so on."""

import re

# What is no place for a placeholder of :name: strings, quoted names and comments; the possessive quantifiers are on single
# characters, since CPython before 3.11.5 gets groups wrong.
_TEXT = r"""
    (?P<text>
        \b[eE]'(?:[^'\\]|\\.|'')*'
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | (?P<tag>(?<![\w$])\$(?:[^\W\d]\w*)?\$).*?(?P=tag)
      | --[^\n]*+
      | /\*.*?\*/
    )
"""
_NAME = r"[^\W\d]\w*"
_PERCENT = re.compile(
    _TEXT + r"| %\((?P<name>[^)]+)\)[sbt] | (?P<next>%[sbt])(?!\w) | (?P<double>%%)", re.VERBOSE | re.DOTALL
)
# Not "::type", not ":=", not the bounds of a slice, a[1:n], and not the operators that begin or end with @.
_COLON = re.compile(
    _TEXT
    + rf"""
    | (?<![:\w)\]]):(?P<name>{_NAME})
    | \bsqlc\.(?:n?arg|slice)\(\s*'?(?P<arg>{_NAME})'?\s*\)
    | \bsqlc\.embed\(\s*(?P<table>{_NAME})\s*\)
    | (?<![^\s(,=])@(?P<at>{_NAME})
    | \$(?P<number>\d+)
    """,
    re.VERBOSE | re.DOTALL,
)
_AFTER_IN = re.compile(r"\bin\s*\Z", re.IGNORECASE)


def numbered(text: str) -> str:
    """The statement with $1 and so on in place of %(name)s and %s, else of :name, @name and sqlc.arg(name).

    The same name is the same number; where the statement has numbers already, names come after them. In a statement with %
    placeholders a doubled % is one, in strings too, as psycopg reads it. `IN :names` gets the parentheses of its values.
    """
    if any(match["name"] or match["next"] == "%s" for match in _PERCENT.finditer(text)):
        return _replaced(_PERCENT, text)
    return _replaced(_COLON, text)


def _replaced(pattern: re.Pattern[str], text: str) -> str:
    numbers: dict[str, int] = {}
    first = 1
    if pattern is _COLON:
        first += max((int(match["number"]) for match in pattern.finditer(text) if match["number"]), default=0)

    def replacement(match: re.Match[str]) -> str:
        groups = match.groupdict()
        if groups["text"]:
            return match[0].replace("%%", "%") if pattern is _PERCENT else match[0]
        if groups.get("double"):
            return "%"
        if groups.get("number"):
            return match[0]
        if groups.get("table"):
            return f"{groups['table']}.*"
        # A %s is a parameter of its own each time.
        name = groups["name"] or groups.get("arg") or groups.get("at") or f"%{match.start()}"
        parameter = f"${numbers.setdefault(name, first + len(numbers))}"
        return f"({parameter})" if _AFTER_IN.search(text[max(0, match.start() - 40) : match.start()]) else parameter

    return pattern.sub(replacement, text)
