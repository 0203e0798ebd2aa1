"""A review as JSON, for programs: everything that a sheet knows, under stable keys."""

import json
from typing import Any

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.sheet import Finding, Live, Lock, Relation, Review, Rows, Seen, Sheet, verdict

VERSION = 1  # a key that goes or changes its meaning makes it 2; new ones don't


def render(review: Review) -> str:
    """The review as one object; durations are milliseconds, sizes and WAL bytes, ages seconds, null where not known.

    - `format` 1, `server`, `data`, `database`, `activity`, `notes`, `verdict`, `worst` (error, warning, note, null), `counts`
      (of findings, by severity, and `allowed`);
    - `migrations`, in the order of applying: `id`, `file`, `title`, `transactional`, `batched`, `verdict`, `worst`,
      `notes`, and
      - `statements`: `number`, `line`, `sql`, `name`, `state` (ran, failed, not reached), `error`, `sqlstate`, `takes` (the
        locks it takes by itself), `new_locks` (those not held before), `held` (strong ones held already), `rewritten`,
        `built`, `emptied`, `scanned` (relations), `rows`, `changes` (`kind`, `identity`, `before`, `after`; null: not
        there), `lock_timeout_ms` (0 is none), `duration_ms`, `wal_bytes`;
      - `locks`: each with `relation`, `mode`, `blocks`, and the numbers of the statements `from` and `until`;
      - `findings`: `rule`, `severity`, `source` (measured, squawk, rollback), `file`, `line`, `statement`, `happens`,
        `hurts`, `safer`, `allowed` (the reason, or null), `url`;
      - `rollback`: `state` (proved, failed, irreversible, not proved), `lines`, `lossy`, `file`, `sql`;
      - `live`: by table, `rows` (estimated), `size`, `indexes`, `index_size`, `oldest_transaction`, `longest_query`.

    A relation has `name`, `kind`, `existed` (before the migration) and `table` (of an index).
    """
    content = {
        "format": VERSION, "server": review.server, "data": review.data, "database": review.database,
        "activity": review.activity, "notes": review.notes,
        "verdict": verdict(review.worst) if review.sheets else None, "worst": review.worst,
        "counts": review.counts(), "migrations": [_sheet(sheet) for sheet in review.sheets],
    }  # fmt: skip
    return json.dumps(content, indent=2, ensure_ascii=False).encode(errors="backslashreplace").decode() + "\n"


def _sheet(sheet: Sheet) -> dict[str, Any]:
    return {
        "id": sheet.id, "file": str(sheet.path), "title": sheet.title, "transactional": sheet.transactional,
        "batched": sheet.batched, "verdict": verdict(sheet.worst), "worst": sheet.worst, "notes": sheet.notes,
        "statements": [_statement(one) for one in sheet.statements],
        "locks": [_lock(lock) for lock in sheet.locks],
        "findings": [_finding(one) for one in sheet.findings],
        "rollback": {
            "state": sheet.undo.word, "lines": sheet.undo.lines, "lossy": sheet.undo.lossy,
            "file": str(sheet.undo_path) if sheet.undo_path else None, "sql": sheet.undo_sql,
        },
        "live": {name: _live(live) for name, live in sorted(sheet.live.items())},
    }  # fmt: skip


def _statement(one: Seen) -> dict[str, Any]:
    work = one.work
    return {
        "number": one.number, "line": one.line, "sql": one.sql, "name": one.name, "state": one.state, "error": one.error,
        "sqlstate": one.sqlstate, "takes": [_lock(lock) for lock in one.takes],
        "new_locks": [_lock(lock) for lock in one.taken], "held": [_lock(lock) for lock in one.held],
        "rewritten": _relations(work.rewritten), "built": _relations(work.built), "emptied": _relations(work.emptied),
        "scanned": _relations(work.scanned), "rows": [_rows(rows) for rows in work.rows],
        "changes": [_change(change) for change in one.changes], "lock_timeout_ms": one.lock_timeout,
        "duration_ms": None if work.duration is None else round(work.duration, 3), "wal_bytes": work.wal,
    }  # fmt: skip


def _lock(lock: Lock) -> dict[str, Any]:
    relation = _relation(lock.relation)
    return {"relation": relation, "mode": lock.mode, "blocks": lock.blocks, "from": lock.taken, "until": lock.until}


def _relation(relation: Relation) -> dict[str, Any]:
    return {"name": relation.name, "kind": relation.kind, "existed": relation.existed, "table": relation.table}


def _relations(relations: tuple[Relation, ...]) -> list[dict[str, Any]]:
    return [_relation(relation) for relation in relations]


def _rows(rows: Rows) -> dict[str, Any]:
    counts = {"inserted": rows.inserted, "updated": rows.updated, "deleted": rows.deleted}
    return {"relation": _relation(rows.relation), **counts}


def _change(change: Change) -> dict[str, Any]:
    return {"kind": change.kind, "identity": change.identity, "before": change.before, "after": change.after}


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule, "severity": one.severity, "source": one.source, "file": str(one.path), "line": one.line,
        "statement": one.statement, "happens": one.happens, "hurts": one.hurts, "safer": one.safer,
        "allowed": one.allowed, "url": one.url or None,
    }  # fmt: skip


def _live(live: Live) -> dict[str, Any]:
    return {
        "rows": live.rows, "size": live.size, "indexes": live.indexes, "index_size": live.index_size,
        "oldest_transaction": live.transaction, "longest_query": live.query,
    }  # fmt: skip
