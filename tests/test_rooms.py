"""Imports run downwards only, without a circle: for each room, the rooms that it may import."""

import ast
import graphlib
from pathlib import Path

import pytest

import pgyoyo

HOME = Path(pgyoyo.__file__).parent
GROUND = {"importing", "migrations", "sql", "catalog", "server", "leaves"}
CORE = {"core", "backfill", "engine"}
MAY_IMPORT = {
    "cli": {"fleet", "doctor", "review", "prove", "schema", "workload", "columns", "scratch"} | CORE | GROUND,
    "testing": {"fleet", "review", "prove", "schema", "workload", "scratch"} | CORE | GROUND,
    "review": {"prove", "workload", "scratch"} | CORE | GROUND,
    "prove": {"scratch"} | CORE | GROUND,
    "schema": {"scratch"} | CORE | GROUND,
    "workload": {"scratch"} | CORE | GROUND,
    "columns": {"scratch"} | CORE | GROUND,
    "fleet": {"schema", "scratch"} | CORE | GROUND,
    "doctor": CORE | GROUND,
    "scratch": CORE | GROUND,
    "core": {"backfill", "engine"} | GROUND,
    "backfill": {"engine"} | GROUND,
    "engine": GROUND,
    "importing": {"migrations", "sql", "leaves"},
    "migrations": {"sql", "leaves"},
    "sql": {"leaves"},
    "catalog": {"leaves"},
    "server": {"leaves"},
    "leaves": set(),
}
LEAVES = {"errors", "gate", "identifiers", "units", "markdown", "plain_file", "queries", "text", "whole_file"}
# Names for people outside: they lead into a room.
FRONT = {"__init__", "__main__", "pytest_checks"}


def name_of(path: Path) -> str:
    return ".".join(("pgyoyo", *path.relative_to(HOME).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {name_of(path): path for path in HOME.rglob("*.py")}


def room_of(module: str) -> str:
    first = module.split(".")[1] if "." in module else "__init__"
    if (HOME / first).is_dir():
        return first
    return "leaves" if first in LEAVES else "front" if first in FRONT else "core"


def imports_of(module: str) -> set[str]:
    """The modules of ours that it imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pgyoyo":
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in MODULES else str(node.module) for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
    return found - {module, "pgyoyo"}


@pytest.mark.parametrize("module", MODULES)
def test_room_imports_only_what_stands_below_it(module: str) -> None:
    room = room_of(module)
    allowed = MAY_IMPORT.get(room, set(MAY_IMPORT)) | {room}
    assert {name for name in imports_of(module) if room_of(name) not in allowed} == set()


def test_imports_have_no_circle() -> None:
    order = graphlib.TopologicalSorter({module: imports_of(module) for module in MODULES}).static_order()
    assert set(order) >= set(MODULES)


def test_every_room_is_in_the_table_and_no_other() -> None:
    assert {path.name for path in HOME.iterdir() if (path / "__init__.py").exists()} == set(MAY_IMPORT) - {
        "core",
        "leaves",
    }
