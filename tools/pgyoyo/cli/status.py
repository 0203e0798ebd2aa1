"""The status, for a person and for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pgyoyo.engine.ledger import Ledger, progress_words
from pgyoyo.migrations.plan import Applied, Comparison
from pgyoyo.migrator import summary
from pgyoyo.units import time_words


def status_lines(database: str, comparison: Comparison, found: Ledger) -> list[str]:
    """The status for a person: one line a migration, then what stands out and what comes next."""
    edited = {migration.hash for migration in comparison.edited}
    missing = {row.hash for row in comparison.missing}
    late = {migration.hash for migration in comparison.late}
    begun = {line.hash: line for line in found.journal}
    backfills = {one.hash: one for one in found.backfills}
    lines = [database]
    ids = [row.id for row in comparison.applied] + [migration.id for migration in comparison.pending]
    width = max(map(len, ids), default=0)
    for row in comparison.applied:
        words = [f"applied  {row.id.ljust(width)}  {row.at:%Y-%m-%d %H:%M:%S} UTC"]
        if row.duration is not None:
            words.append(time_words(row.duration))
        if row.by:
            words.append(f"by {row.by}")
        if row.checksum is None:
            words.append("by the plain yoyo: its text is not known")
        elif row.duration is None:
            words.append("marked, not run")
        words += ["FILE EDITED SINCE"] * (row.hash in edited) + ["FILE MISSING"] * (row.hash in missing)
        if row.hash in begun:
            words.append(f"rollback interrupted after statement {begun[row.hash].statement}")
        lines.append("  ".join(words))
    for migration in comparison.pending:
        words = [f"pending  {migration.id.ljust(width)}"]
        words += ["sorts before an applied one"] * (migration.hash in late)
        if migration.hash in begun:
            words.append(f"interrupted at statement {begun[migration.hash].statement}")
        if migration.hash in backfills:
            one = backfills[migration.hash]
            state = "backfill running" if one.running else "backfill interrupted"
            words.append(f"{state}: {progress_words(one)}")
        lines.append("  ".join(words).rstrip())
    if comparison.edited:
        lines.append(f"restore what was edited, or accept it: pgyoyo repair {comparison.edited[0].id}")
    lines.append(summary(len(comparison.applied), len(comparison.pending)))
    return lines


def status_json(database: Mapping[str, object], comparison: Comparison, found: Ledger) -> str:
    """The status for a program; keys are stable, times ISO 8601 in UTC, durations milliseconds."""
    edited = {migration.hash for migration in comparison.edited}
    missing = {row.hash for row in comparison.missing}
    late = {migration.hash for migration in comparison.late}

    def row(one: Applied) -> dict[str, Any]:
        return {
            "id": one.id, "state": "applied", "applied_at": one.at.isoformat() + "Z",
            "duration_ms": None if one.duration is None else round(one.duration, 3),
            "applied_by": one.by, "version": one.version, "checksum": one.checksum, "edited": one.hash in edited,
            "file_missing": one.hash in missing,
        }  # fmt: skip

    content = {
        "database": database,
        "ledger_schema": found.schema,
        "migrations": [
            *(row(one) for one in comparison.applied),
            *({"id": m.id, "state": "pending", "late": m.hash in late} for m in comparison.pending),
        ],
        "interrupted": [
            {"id": line.migration_id, "operation": line.operation, "statement": line.statement, "state": line.state}
            for line in found.journal
        ],
        "backfills": [
            {
                "id": one.migration_id,
                "state": "running" if one.running else "interrupted",
                "rows": one.rows,
                "batches": one.batches,
                "fraction": one.fraction,
                "seconds": one.worked,
                "rows_per_second": one.rate,
                "seconds_left": one.left,
                "seconds_since_last_batch": one.idle,
            }
            for one in found.backfills
        ],
        "applied": len(comparison.applied),
        "pending": len(comparison.pending),
    }
    return json.dumps(content, indent=2)
