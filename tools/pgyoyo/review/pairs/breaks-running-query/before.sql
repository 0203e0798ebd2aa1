CREATE TABLE running (id bigint PRIMARY KEY, kind text);
