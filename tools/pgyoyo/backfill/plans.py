"""What is wrong with the plan of a batch."""

from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Targets

# A table that every batch reads from its first page to its last may have this many bytes.
SMALL = 16 << 20
BLOCK = 8192  # bytes, unless PostgreSQL was built otherwise
# Blocks of other tables that a row of a batch may cost, besides.
_BLOCKS = 50
# What a block costs in PostgreSQL's plans at most: seq_page_cost is 1, random_page_cost 4, and as much for its rows.
_COSTS = 8


def plan_faults(conn: Connection, plan: Any, targets: Targets) -> list[str]:
    """What is wrong with a batch's plan (EXPLAIN's JSON): tables that each batch would read as a whole."""
    own = {table.relname for table in targets.tables}
    scans = [node for node in _nodes(plan) if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
    others = {node["Relation Name"] for node in scans} - own
    big = {node["Relation Name"] for node in scans if _bytes(conn, node["Relation Name"]) > SMALL}
    faults = []
    for node in scans:
        name, kind = node["Relation Name"], node["Node Type"]
        # Looked up for each row of a small table, an index of its own is read as far as that has rows.
        looked_up = "Index Cond" in node and others and not others & big
        if name in own & big and kind not in ("Tid Scan", "Tid Range Scan") and not looked_up:
            faults.append(f"each batch would read the whole of {name} ({kind})")
        elif name in others & big and kind == "Seq Scan":
            faults.append(f"each batch would read the whole of {name}; it needs an index on what they are joined by")
    return faults


def _bytes(conn: Connection, name: str) -> int:
    row = conn.execute(queries()["biggest"].encode(), {"name": name}).fetchone()
    return (row[0] or 0) if row else 0


def block_faults(plan: Any, targets: Targets) -> list[str]:
    """What a trial batch read of other tables (EXPLAIN ANALYZE's JSON), where that is far more than its rows need."""
    own = {table.relname for table in targets.tables}
    blocks: dict[str, int] = {}
    rows = 0.0
    for node in _nodes(plan):
        name = node.get("Relation Name", node.get("Index Name"))
        if node["Node Type"] in ("Tid Scan", "Tid Range Scan") and name in own:
            rows += node["Actual Rows"] * node["Actual Loops"]
        elif name and name not in own:
            blocks[name] = blocks.get(name, 0) + node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    return [
        f"a trial batch read {count:,} blocks of {name} for {rows:,.0f} rows; it needs an index on what they are joined by"
        for name, count in blocks.items()
        if count > SMALL // BLOCK + _BLOCKS * rows
    ]


def cost_fault(conn: Connection, plan: Any, targets: Targets) -> str:
    """Why a whole statement costs far more, by its plan (EXPLAIN's JSON), than to read each other table once, and besides the
    few blocks that each of its rows needs; empty if it does not.
    """
    own = {table.relname for table in targets.tables}
    scans = [node for node in _nodes(plan) if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
    others = sorted({node["Relation Name"] for node in scans} - own)
    rows = sum(node["Plan Rows"] for node in scans if node["Relation Name"] in own)
    once = sum(_bytes(conn, name) for name in others)
    cost = plan[0]["Plan"]["Total Cost"]
    if not others or cost <= _COSTS * (max(SMALL, once) // BLOCK + _BLOCKS * rows):
        return ""
    return (
        f"PostgreSQL's plan costs {cost:,.0f} for {rows:,.0f} rows, as much as to read {' and '.join(others)} "
        f"{cost / max(1, once // BLOCK):,.0f} times; it needs an index on what they are joined by, or run it "
        'as it stands, without "backfill: batched"'
    )


def _nodes(plan: Any) -> Iterator[Any]:
    nodes = [plan[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        yield node
