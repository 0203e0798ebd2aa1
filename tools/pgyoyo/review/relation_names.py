"""Names of relations as the server quotes them, taken apart."""

import re

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def parts(name: str) -> list[str]:
    """The parts of a name that the server quoted, unquoted; a signature, which has no such parts, as a whole."""
    return [plain or quoted.replace('""', '"') for quoted, plain in _PART.findall(name)] or [name]


def bare_name(name: str) -> str:
    """The last part of a name, unquoted."""
    return parts(name)[-1]


def is_called(name: str, called: str) -> bool:
    """Whether a text such as setval's argument, `S` or `public."Seq"`, means the relation that the server calls `name`."""
    written = [(quoted.replace('""', '"'), plain.strip().lower()) for quoted, plain in _PART.findall(called)]
    wanted = [quoted or plain for quoted, plain in written if quoted or plain]
    return parts(name)[-len(wanted) :] == wanted
