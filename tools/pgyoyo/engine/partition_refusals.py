"""What to write in place of a statement that PostgreSQL refuses on a partitioned table or its partitions."""

import re

import psycopg

_CONCURRENTLY = (
    "CREATE INDEX ON ONLY the partitioned table, CREATE INDEX CONCURRENTLY on each partition, then ALTER INDEX … ATTACH "
    'PARTITION for each; or without ONLY, in a file of its own with the header line "-- transactional: false", '
    "so that pgyoyo builds it partition by partition"
)
_KEY = (
    "CREATE UNIQUE INDEX CONCURRENTLY on each partition; ALTER TABLE ONLY the partitioned table ADD the constraint with its "
    "columns; for each partition ADD CONSTRAINT … USING INDEX, then ALTER INDEX … ATTACH PARTITION"
)
_WITHIN = "a unique index on each partition is possible, but holds within that partition only"
_EACH = "the same statement for each partition"
_WHOLE = "the same statement for the parent, whose columns and constraints its partitions share"
_NO_ONLY = "the same statement without ONLY"

# The server's words, as regular expressions over its message, DETAIL and CONTEXT, each in a line, and ours. They stand in
# PostgreSQL's source of 14 to 18: tablecmds.c, indexcmds.c, cluster.c, trigger.c, partbounds.c, execPartition.c.
_INSTEAD = (
    (r'cannot create index on partitioned table ".*" concurrently', _CONCURRENTLY),
    (r'cannot drop partitioned index "(.*)" concurrently',
     ("DROP INDEX {0} with a short \"-- lock-timeout:\": it takes no time, but an ACCESS EXCLUSIVE lock on the table "
     "and all of its "
     "partitions")),
    (r"cannot add NOT VALID foreign key on partitioned table",
     ("ADD the foreign key NOT VALID to each partition and VALIDATE it there, then to the partitioned table without "
     "NOT VALID, "
     "which takes those over without reading the rows again")),
    (r"cannot use ONLY for foreign key on partitioned table", _NO_ONLY),
    (r'must include all partitioning columns\n.*lacks column "(.*?)"',
     f"the key with the column {{0}} in it, too; {_WITHIN}"),
    (r"unsupported .* constraint with partition key definition",
     f"a partition key of plain columns, all in this key; {_WITHIN}"),
    (r"exclusion constraints are not supported on partitioned tables", f"{_EACH}; it then holds within that partition only"),
    (r"ADD CONSTRAINT USING INDEX is not supported on partitioned tables", _KEY),
    (r"must be (?:added|renamed|changed) (?:to|in) child tables too", _NO_ONLY),
    (r"cannot (?:add column|add identity to a column|set not null on a column) (?:to|of) a partition", _WHOLE),
    (r"cannot (?:drop|rename|alter) inherited (?:column|constraint)|is marked NOT NULL in parent table", _WHOLE),
    (r"identity columns are not supported on partitions", _WHOLE),
    (r"because it is part of the partition key of relation",
     ("a new partitioned table with the columns as they should be; copy the rows partition by partition, then change "
     "the names")),
    (r"cannot mark index clustered in partitioned table|cannot cluster a partitioned table",
     "CLUSTER for each partition, with the index that it has of its own"),
    (r"operation is not supported for partitioned indexes", "the same statement for the index of each partition"),
    (r"operation is not supported for partitioned tables", _EACH),
    (r"partitioned tables cannot be unlogged",
     "CREATE UNLOGGED TABLE … PARTITION OF for each partition, the parent without UNLOGGED"),
    (r"cannot detach partitions concurrently when a default partition exists",
     ("DETACH PARTITION without CONCURRENTLY and with a short \"-- lock-timeout:\"; it takes no time, but an ACCESS "
     "EXCLUSIVE lock on "
     "the table and its default partition")),
    (r'updated partition constraint for default partition "(.*)" would be violated',
     ("in one transaction: DETACH {0}, make or attach the partition, move its rows there (WITH moved AS (DELETE FROM "
     "{0} WHERE … "
     "RETURNING *) INSERT INTO … SELECT * FROM moved), then ATTACH {0} DEFAULT")),
    (r'no partition of relation "(.*)" found for row',
     "first a partition for it: CREATE TABLE … PARTITION OF {0} FOR VALUES …, or DEFAULT"),
    (r"cannot change inheritance of|cannot inherit from partitioned table",
     "ALTER TABLE … ATTACH PARTITION, or DETACH PARTITION"),
    (r"ROW triggers with transition tables are not supported",
     "FOR EACH STATEMENT, which may have REFERENCING, or FOR EACH ROW without it"),
    (r"cannot add NO INHERIT constraint to partitioned table", "the constraint without NO INHERIT"),
)  # fmt: skip


def instead(error: psycopg.Error) -> str:
    """A line that begins with a line break, or "" for any other error, and where the server's messages are not English."""
    diag = error.diag
    if diag.message_hint:  # which says it
        return ""
    words = "\n".join(filter(None, (diag.message_primary, diag.message_detail, diag.context)))
    for pattern, text in _INSTEAD:
        if match := re.search(pattern, words):
            return f"\nWrite instead: {text.format(*match.groups())}"
    return ""
