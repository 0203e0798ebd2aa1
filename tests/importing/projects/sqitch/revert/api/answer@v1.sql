-- Revert shop:api/answer@v1 from pg

BEGIN;

DROP FUNCTION answer();

COMMIT;
