CREATE TABLE toy (id bigint PRIMARY KEY);
INSERT INTO audit (pet_id) VALUES (-1);
