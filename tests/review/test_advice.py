"""The advice of each rule, run as the migrations that it is: for a plain and a partitioned table none of it has a finding."""

import re
from collections.abc import Iterator

from psycopg import Connection

from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.review import rules
from pgyoyo.review.rulebook import Place, Rule, rulebook
from pgyoyo.review.sheet import NOTE, Finding
from pgyoyo.review.stage import RehearsalDatabases
from staging import begin

BEFORE = """
CREATE DOMAIN short AS text;
CREATE TYPE mood AS ENUM ('calm');
CREATE SEQUENCE item_seq;
CREATE TABLE owner (id bigint PRIMARY KEY);
CREATE TABLE item (
  id bigint NOT NULL, day date NOT NULL, age integer, name text, owner_id bigint, born timestamp, nickname short{identity}
) {how};
CREATE INDEX item_name_idx ON item (name);
CREATE TABLE loose (LIKE item INCLUDING ALL EXCLUDING IDENTITY);
CREATE MATERIALIZED VIEW names AS SELECT name, count(*) FROM item GROUP BY name;
CREATE UNIQUE INDEX names_name_idx ON names (name);
"""
PARTITION = "CREATE TABLE item_2025 PARTITION OF item FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');"
VALUES = {
    "table": "item", "bare_table": "item", "new_column": "fresh", "type": "bigint", "volatile": "random()::bigint",
    "new_sequence": "item_fresh_seq", "expression": "age + 1", "function": "item_sync", "trigger": "item_is_synced",
    "column": "age", "new_constraint": "item_new_check", "condition": "age > 0", "reference": "owner_id",
    "referenced": "owner", "new_index": "item_new_idx", "unique": "", "definition": "(owner_id)", "unique_columns": "id, day",
    "key": "id", "index": "item_name_idx",
    "domain": "short", "domain_condition": "VALUE <> ''", "new_partition": "loose", "made_partition": "item_2027",
    "bounds": "day IS NOT NULL AND day >= '2027-01-01' AND day < '2028-01-01'", "from": "'2027-01-01'", "to": "'2028-01-01'",
    "value": "0", "view": "names", "enum": "mood", "label": "angry", "new_name": "things", "policy": "true",
    "new_policy": "everybody", "partition": "item_2025", "partition_index": "item_2025_new_idx", "moment": "born",
    "moment_type": "timestamptz", "new_key": "id, day", "primary_key": "item_pkey",
    "sequence": "item_seq",
}  # fmt: skip
# What stands before the advice of a rule.
ALSO = {
    "drop-primary-key": "ALTER TABLE item ADD PRIMARY KEY (id);",
    "primary-key-sets-not-null": "ALTER TABLE item ALTER id DROP NOT NULL;",
}
# Rules about partitions have no advice for a plain table.
ONLY_PARTITIONED = {"attach-partition-scans", "partition-locks-parent", "detach-not-concurrently"}


def made(name: str, text: str) -> Migration:
    return reader.from_texts(name, text, None)


def ways(version: int) -> Iterator[tuple[Rule, bool, tuple[str, ...]]]:
    """The rules that have steps for that version, for a plain or a partitioned table."""
    for rule in rulebook().values():
        for partitioned in (False, True):
            plain = rule.steps(Place(version, partitioned))
            for code, key in ((False, False), (True, False), (False, True)):
                steps = rule.steps(Place(version, partitioned, code, key))
                if steps and (partitioned or rule.id not in ONLY_PARTITIONED) and (steps != plain or not (code or key)):
                    yield rule, partitioned, steps


def findings(stage: RehearsalDatabases, name: str, text: str) -> list[Finding]:
    step = made(name, text)
    rehearsal = stage.rehearse(step)
    return rules.findings(step.apply, rehearsal.statements, rehearsal.invalid(), rehearsal.facts())


def test_advice_comes_out_clean(admin: Connection, stage: RehearsalDatabases) -> None:
    version = admin.info.server_version
    faults = []
    for number, (rule, partitioned, steps) in enumerate(ways(version)):
        # An identity column of a partitioned table is one of its partitions too since 17.
        counted = partitioned and version >= 170000
        how = "PARTITION BY RANGE (day)" if partitioned else ""
        identity = ", number bigint GENERATED ALWAYS AS IDENTITY" if counted else ""
        text = BEFORE.format(how=how, identity=identity) + PARTITION * partitioned + ALSO.get(rule.id, "")
        begin(stage, [made(f"{number}_before", text)])
        for step, sql in enumerate(steps):
            filled = re.sub(r"(?<!\$)\{([a-z_]+)\}", lambda hole: VALUES[hole[1]], sql)
            faults += [
                f"{rule.id}, {'partitioned' if partitioned else 'plain'}, step {step + 1}: {each.rule}: {each.happens}"
                for each in findings(stage, f"{number}_{step}", filled)
                if each.severity != NOTE or each.rule == rule.id
            ]
    assert faults == []
