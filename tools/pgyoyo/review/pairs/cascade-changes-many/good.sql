-- backfill: batched
DELETE FROM member WHERE club_id = 7;
