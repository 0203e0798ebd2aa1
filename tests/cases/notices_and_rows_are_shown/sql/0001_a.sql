DO $$ BEGIN RAISE NOTICE 'made it'; END $$;
SELECT 1 AS one, NULL AS nothing, 'two' AS two;
