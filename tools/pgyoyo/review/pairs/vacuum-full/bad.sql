-- transactional: false
VACUUM FULL pet;

-- also: no-lock-timeout
