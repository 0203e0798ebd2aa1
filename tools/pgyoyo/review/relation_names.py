"""Names of relations as the server quotes them, taken apart."""

import re

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def parts(name: str) -> list[str]:
    """The parts of a name that the server quoted, unquoted; a signature, which has no such parts, as a whole."""
    return [plain or quoted.replace('""', '"') for quoted, plain in _PART.findall(name)] or [name]


def bare_name(name: str) -> str:
    """The last part of a name, unquoted."""
    return parts(name)[-1]
