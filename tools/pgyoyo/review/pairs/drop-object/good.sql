DROP FUNCTION pets_of(bigint);
CREATE FUNCTION pets_of(bigint, boolean DEFAULT true) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pet WHERE owner_id = $1';
