DROP FUNCTION pets_of(bigint);
