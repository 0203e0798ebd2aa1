"""[tool.pgyoyo.env.NAME], chosen by --env, and a .env file, read when --env-file asks for it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgyoyo.errors import UsageError, closest

# Within a URL, $word in small letters may be a part of a password.
_VARIABLE = re.compile(r"\$(?:(?P<name>(?<=\A\$)\w+\Z|[A-Z_][A-Z0-9_]*)|\{(?P<braced>\w+)\})")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


def choose(config: Mapping[str, Any], name: str, environ: Mapping[str, str], source: Path) -> dict[str, Any]:
    """The settings with those of the environment `name` over them; raises UsageError where there is none of that name.

    Its database is that of `database_of`, and has to be set.
    """
    known = config.get("env", {})
    if name not in known:
        near = closest(name, known)
        names = f"did you mean {near}?" if near else f"known are {', '.join(known)}" if known else "none is defined"
        raise UsageError(f'{source}: there is no [tool.pgyoyo.env.{name}] for --env "{name}"; {names}')
    chosen = {**config, **known[name]}
    if "database" in known[name]:
        where = f"{source}: database in [tool.pgyoyo.env.{name}]"
        chosen["database"], unset = database_of(chosen["database"], environ, where)
        if unset:
            raise UsageError(unset)
    return chosen


def database_of(text: str, environ: Mapping[str, str], where: str) -> tuple[str | None, str]:
    """The database that a setting names, with $NAME and ${NAME} as the variables have them, also within a URL.

    None where a variable is not set, with an error's words that begin with `where`.
    """
    names = [(match[0], match["name"] or match["braced"]) for match in _VARIABLE.finditer(text)]
    unset = next((shown for shown, name in names if not environ.get(name)), None)
    if unset:
        # What stands around it may be a password.
        return (
            None,
            f"{where} is {text}, which is not set" if unset == text else f"{where} needs {unset}, which is not set",
        )
    return _VARIABLE.sub(lambda match: environ[match["name"] or match["braced"]], text), ""


def read_file(path: Path) -> dict[str, str]:
    """The variables of a .env file: NAME=value lines, values bare or in quotes; raises UsageError with the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"{path}: {reason}; --env-file names a file of NAME=value lines") from None
    variables = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise UsageError(f"{path}:{number}: this is no NAME=value line")  # a value may be a password
        value = match[2]
        quoted = re.fullmatch(r"""(["'])(.*)\1\s*(?:#.*)?""", value)
        variables[match[1]] = quoted[2] if quoted else re.sub(r"\s+#.*", "", value)
    return variables
