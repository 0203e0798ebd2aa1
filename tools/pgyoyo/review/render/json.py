"""The review as JSON, for programs: all facts of a sheet, under stable keys."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.sheet import Finding, Lock, ObservedStatement, Review, Sheet, verdict
from pgyoyo.text import escaped_json

VERSION = 1  # 2 once a key goes or changes its meaning; new keys don't count


def render(review: Review) -> str:
    """The review as one object; durations are milliseconds, sizes and WAL bytes, ages seconds, null where not known.

    - `format` 1, `server`, `data`, `database`, `activity`, `notes`, `verdict`, `worst` (error, warning, paperwork, note,
      null), `counts` (of findings, by severity, and `allowed`);
    - `migrations`, in the order of applying: `id`, `file`, `title`, `transactional`, `batched`, `verdict`, `worst`,
      `notes`, and
      - `statements`: `number`, `line`, `sql`, `name`, `state` (ran, failed, not reached), `error`, `sqlstate`, `takes` (the
        locks it takes by itself), `new_locks` (those not held before), `held` (strong ones held already), `rewritten`,
        `built`, `emptied`, `scanned` (relations), `rows`, `growing` (rows changed, where a
        bigger table has more of them), `cascading` (the same of rows that go with others), `unmeasured` (tables of whose
        rows nothing can be said), `changes` (`kind`,
        `identity`, `before`, `after`; null: did not exist), `lock_timeout_ms` (0 is none), `duration_ms`, `wal_bytes`,
        `estimate` (on the target's tables: `seconds` and bytes
        `written` from `low` to `high`, `room` on the disk in bytes, `rows`; or null);
      - `waits`: how long a `table` is `blocked` for (reads and writes, or writes), in `seconds` from `low` to `high`;
      - `locks`: each with `relation`, `mode`, `blocks`, and the numbers of the statements `from` and `until`;
      - `findings`: `rule`, `severity`, `source` (measured, live, squawk, rollback), `file`, `line`, `statement`, `happens`,
        `effect`, `workaround` (also under their earlier names, `hurts` and `safer`), `allowed` (the reason, or null), `url`;
      - `rollback`: `state` (proved, failed, differs, needs a reason, missing, irreversible, not proved),
        `lines`, `lossy`, `file`, `sql`;
      - `live`: by table, `rows` (estimated), `size`, `indexes`, `index_size`, `oldest_transaction`, `longest_query`,
        `remarks`, `running`, `fleet` (null, or of a fleet whose largest table this is: `members` that have it, which has
        the `largest`, `median_rows`, `median_size`, `total_rows`, `total_size`).

    A relation has `name`, `kind`, `existed` (before the migration) and `table` (that an index is on, or the parent).
    """
    head = {"format": VERSION, "verdict": verdict(review.worst) if review.sheets else None, "worst": review.worst,
            "counts": review.counts()}  # fmt: skip
    content = head | _fields(review, sheets="migrations")
    return escaped_json(json.dumps(_plain(content), indent=2, ensure_ascii=False)) + "\n"


def _plain(value: Any) -> Any:
    """The value with facts as objects of keys that JSON knows."""
    match value:
        case Path():
            return str(value)
        case Change():
            return value._asdict()
        case Lock():
            value = _fields(value, taken="from") | {"blocks": value.blocks}
        case Finding():
            value = _fields(value, path="file") | {
                "url": value.url or None, "hurts": value.effect, "safer": value.workaround,
            }  # fmt: skip
        case ObservedStatement():
            duration = value.work.duration
            left_out = {"work": "", "alone": "", "trial": ""}
            value = _fields(value, taken="new_locks", lock_timeout="lock_timeout_ms", **left_out) | _fields(
                value.work, duration="duration_ms", wal="wal_bytes"
            ) | {"takes": value.takes, "duration_ms": None if duration is None else round(duration, 3)}  # fmt: skip
        case Sheet():
            value = _fields(value, path="file") | {
                "verdict": verdict(value.worst), "worst": value.worst, "live": dict(sorted(value.live.items())),
            }  # fmt: skip
        case _ if hasattr(value, "__dataclass_fields__"):
            value = _fields(value, path="file")
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _fields(facts: Any, **keys: str) -> dict[str, Any]:
    """The fields of a dataclass under their names, or under the keys given; "" leaves a field out."""
    named = ((keys.get(field.name, field.name), getattr(facts, field.name)) for field in fields(facts))
    return {key: value for key, value in named if key}
