CREATE TABLE running (id bigint PRIMARY KEY, code integer);
