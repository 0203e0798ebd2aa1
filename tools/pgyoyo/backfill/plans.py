"""What is wrong with the plan of a batch."""

from typing import Any

from psycopg import Connection

from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Targets

# A table that every batch reads from its first page to its last may have this many bytes.
SMALL = 16 << 20
# Blocks of other tables that a row of a batch may cost, besides.
_BLOCKS = 50


def plan_faults(conn: Connection, plan: Any, targets: Targets) -> list[str]:
    """What is wrong with a batch's plan (EXPLAIN's JSON): tables that each batch would read as a whole."""
    own = {table.relname for table in targets.tables}
    nodes, scans = [plan[0]["Plan"]], list[Any]()
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            scans.append(node)
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
    nodes, rows = [plan[0]["Plan"]], 0.0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        name = node.get("Relation Name", node.get("Index Name"))
        if node["Node Type"] in ("Tid Scan", "Tid Range Scan") and name in own:
            rows += node["Actual Rows"] * node["Actual Loops"]
        elif name and name not in own:
            blocks[name] = blocks.get(name, 0) + node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    return [
        f"a trial batch read {count:,} blocks of {name} for {rows:,.0f} rows; it needs an index on what they are joined by"
        for name, count in blocks.items()
        if count > SMALL // 8192 + _BLOCKS * rows
    ]
