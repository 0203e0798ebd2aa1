ALTER TABLE event ADD z int; UPDATE event SET z = a.credit FROM account AS a WHERE a.id = event.account_id
ALTER TABLE event ADD z int; UPDATE event SET z = 1 WHERE id > 0
ALTER TABLE event ADD z int; UPDATE account SET credit = 1 WHERE id > 0
ALTER TABLE event ADD z int; CREATE TABLE event_copy AS SELECT * FROM event WHERE id > 0
ALTER TABLE event ADD z int; INSERT INTO bare (id) SELECT id FROM event WHERE id > 0
ALTER TABLE event ADD z int; REFRESH MATERIALIZED VIEW CONCURRENTLY per_account
ALTER TABLE event ADD z int; SELECT max(score) FROM event WHERE id > 0
ALTER TABLE event ADD z int; DO $$ BEGIN PERFORM count(*) FROM event WHERE id > 0; END $$
ALTER TABLE event ADD z int; DELETE FROM event WHERE at < '2025-06-01'
ALTER TABLE log ADD z int; UPDATE log SET z = 1 WHERE id > 0
CREATE TRIGGER t BEFORE UPDATE ON switch FOR EACH ROW EXECUTE FUNCTION reset(); UPDATE event SET score = 1 WHERE id > 0
ALTER TABLE ref ADD FOREIGN KEY (account_id) REFERENCES account
ALTER TABLE ref ADD FOREIGN KEY (event_id) REFERENCES event
ALTER TABLE log ADD FOREIGN KEY (account_id) REFERENCES account
ALTER TABLE ref ADD CONSTRAINT c FOREIGN KEY (account_id) REFERENCES account NOT VALID; ALTER TABLE ref VALIDATE CONSTRAINT c
ALTER TABLE ref ADD CONSTRAINT c CHECK (id > 0) NOT VALID; ALTER TABLE ref VALIDATE CONSTRAINT c
ALTER TABLE ref ADD CHECK (id > 0)
CREATE INDEX ON event (note)
ALTER TABLE ref ALTER account_id SET NOT NULL
LOCK TABLE account IN SHARE MODE; UPDATE event SET score = 1 WHERE id = 5; SELECT max(score) FROM event WHERE id > 0
PREPARE p AS UPDATE event SET score = 1 WHERE id > 0; EXECUTE p
CREATE TEMP TABLE chosen AS SELECT id FROM event WHERE id > 0; UPDATE event SET score = 1 FROM chosen WHERE chosen.id = event.id
DECLARE c CURSOR FOR SELECT id FROM event WHERE id > 0 FOR UPDATE; MOVE ALL FROM c
ALTER TABLE log ADD z int; DO $$ BEGIN UPDATE log_2025 SET z = 1 WHERE id > 0; END $$
ALTER TABLE event ALTER kind SET DEFAULT 'view'; ALTER TABLE ref ADD CHECK (event_id > 0)
ALTER TABLE event ADD z int; COPY (SELECT * FROM event WHERE id > 0) TO '/dev/null'
ALTER TABLE ref ADD z1 int; COPY ref TO STDOUT
