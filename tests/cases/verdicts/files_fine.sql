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
