-- Count every visit twice.
--
-- backfill: batched

UPDATE a SET visits = visits * 2 WHERE visits > 0;
