ALTER TABLE event ADD z int; UPDATE event SET z = 1 WHERE id = 5
ALTER TABLE event ADD z int; INSERT INTO setting VALUES ('size', 'x')
ALTER TABLE event ADD z int; SELECT count(*) FROM setting WHERE key = 'mode'
ALTER TABLE event ADD z int DEFAULT 7
ALTER TABLE log ADD z int
CREATE TABLE fresh (id bigint PRIMARY KEY, n int); INSERT INTO fresh SELECT id, 1 FROM event WHERE id > 0; UPDATE fresh SET n = 2; CREATE INDEX ON fresh (n); DELETE FROM fresh WHERE id > 3
CREATE TABLE fresh (id bigint PRIMARY KEY, n int); ALTER TABLE fresh ADD CHECK (n > 0); ALTER TABLE fresh ALTER n SET NOT NULL; ALTER TABLE fresh ALTER n TYPE bigint
CREATE TABLE fresh (id bigint PRIMARY KEY, account_id bigint REFERENCES account); CREATE INDEX ON fresh (account_id)
ALTER TABLE ref ADD CONSTRAINT c FOREIGN KEY (account_id) REFERENCES account NOT VALID
ALTER TABLE ref ALTER label TYPE varchar(80)
CREATE TEMP TABLE chosen AS SELECT 5::bigint AS id; UPDATE event SET score = 1 FROM chosen WHERE chosen.id = event.id AND event.id = 5
CREATE TABLE fresh (LIKE event INCLUDING ALL); INSERT INTO fresh SELECT * FROM event WHERE id > 0; CREATE INDEX ON fresh (note); ALTER TABLE fresh ADD CHECK (id > 0)
CREATE TABLE log_2027 (LIKE log INCLUDING ALL); ALTER TABLE log_2027 ADD CHECK (day >= '2027-01-01' AND day < '2028-01-01'); ALTER TABLE log ATTACH PARTITION log_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')
CREATE TABLE part (id bigint, day date) PARTITION BY RANGE (day); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); INSERT INTO part SELECT id, '2025-02-02' FROM event WHERE id > 0; CREATE INDEX ON part (id); UPDATE part SET id = 1
CREATE TABLE fresh (id int); ANALYZE fresh
ALTER TABLE ref ADD z1 int; SELECT setval('counter', (SELECT max(id) FROM ref))
ALTER TABLE item ADD z int; UPDATE item SET z = 1 WHERE owner_id = 1 AND n = 5
ALTER TABLE log ADD z int; UPDATE log SET z = 1 WHERE id = 5 AND day = '2025-05-05'
ALTER TABLE item ADD z int; INSERT INTO setting SELECT code, 'x' FROM item WHERE owner_id = 1 AND n = 5
CREATE TYPE colour AS ENUM ('red'); ALTER TABLE diary ADD c colour DEFAULT 'red'
CREATE TABLE note (LIKE diary INCLUDING ALL); INSERT INTO note SELECT * FROM diary WHERE id > 0; CREATE INDEX ON note (mood); ALTER TABLE note ADD CHECK (id > 0)
CREATE SCHEMA report; CREATE VIEW report.moods AS SELECT mood, count(*) FROM diary GROUP BY 1; GRANT USAGE ON SCHEMA report TO PUBLIC
ALTER TABLE doc ADD z int; SELECT FROM doc LIMIT 1
SAVEPOINT a; ALTER TABLE doc ADD z int; ROLLBACK TO a; SELECT max(body) FROM doc WHERE number > 0
ALTER TABLE doc ADD z int; DO $$ BEGIN IF EXISTS (SELECT FROM doc WHERE id = '00000000-0000-0000-0000-000000000005') THEN RAISE NOTICE 'it is there'; END IF; END $$
ALTER TABLE doc ADD z int; DO $$ BEGIN IF EXISTS (SELECT FROM doc) THEN RAISE NOTICE 'it has rows'; END IF; END $$
