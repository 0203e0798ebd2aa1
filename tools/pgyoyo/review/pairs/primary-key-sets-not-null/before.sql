CREATE TABLE toy (id bigint);
CREATE UNIQUE INDEX toy_pkey ON toy (id);
