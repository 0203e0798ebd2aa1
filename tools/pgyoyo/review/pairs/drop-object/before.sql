CREATE FUNCTION pets_of(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pet WHERE owner_id = $1';
