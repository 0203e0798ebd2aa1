CREATE TABLE toy (id bigint PRIMARY KEY);

-- also: rollback-differs
