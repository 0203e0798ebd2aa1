CREATE TABLE toy_of_2026 (id bigint);
