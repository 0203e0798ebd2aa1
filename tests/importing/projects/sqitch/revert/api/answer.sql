-- Revert shop:api/answer from pg

BEGIN;

CREATE OR REPLACE FUNCTION answer() RETURNS integer LANGUAGE sql AS 'SELECT 1';

COMMIT;
