"""The named queries of a .sql file of the package."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path


@cache
def named(path: Path) -> Mapping[str, str]:
    """The queries of the file by the name on the line above each, without their comments and closing semicolons."""
    text = path.read_text(encoding="utf-8")
    queries = {}
    for part in text.split("-- name: ")[1:]:
        name, _, query = part.partition("\n")
        lines = [line for line in query.splitlines() if not line.startswith("--")]
        queries[name.strip()] = "\n".join(lines).strip().removesuffix(";")
    return queries
