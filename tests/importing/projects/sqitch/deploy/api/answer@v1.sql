-- Deploy shop:api/answer@v1 to pg
-- requires: users

BEGIN;

CREATE OR REPLACE FUNCTION answer() RETURNS integer LANGUAGE sql AS 'SELECT 1';

COMMIT;
