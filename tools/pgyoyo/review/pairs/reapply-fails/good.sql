CREATE TABLE toy (id bigint PRIMARY KEY);
