CREATE TABLE a ();
DO $$ BEGIN RAISE NOTICE '%', E'\x1b[2J\u202e'; END $$;
SELECT E'\x1b]52;c;eA==\x07' AS "c[1m";
