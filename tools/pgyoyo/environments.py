"""[tool.pgyoyo.env.NAME], chosen by --env, and a .env file, read when --env-file asks for it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgyoyo.errors import UsageError, closest

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


def choose(config: Mapping[str, Any], name: str, environ: Mapping[str, str], source: Path) -> dict[str, Any]:
    """The settings with those of the environment `name` over them; raises UsageError where there is none of that name.

    A database written as $NAME is the value of that variable.
    """
    known = config.get("env", {})
    if name not in known:
        near = closest(name, known)
        names = f"did you mean {near}?" if near else f"known are {', '.join(known) or 'none'}"
        raise UsageError(f'{source}: there is no [tool.pgyoyo.env.{name}] for --env "{name}"; {names}')
    chosen = {**config, **known[name]}
    database = chosen.get("database", "")
    if database.startswith("$"):
        variable = database[1:].strip("{}")
        if not environ.get(variable):
            raise UsageError(f"{source}: database in [tool.pgyoyo.env.{name}] is {database}, which is not set")
        chosen["database"] = environ[variable]
    return chosen


def read_file(path: Path) -> dict[str, str]:
    """The variables of a .env file: NAME=value lines, values bare or in quotes; raises UsageError with the line."""
    try:
        text = path.read_text(encoding="utf-8")
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
