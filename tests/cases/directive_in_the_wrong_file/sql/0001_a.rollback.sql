-- backfill: batched
DROP TABLE a;
