-- Deploy shop:api/answer to pg
-- requires: users

BEGIN;

CREATE OR REPLACE FUNCTION answer() RETURNS integer LANGUAGE sql AS 'SELECT 2';

COMMIT;
