-- change: a check that not every value satisfies
ALTER TABLE account ADD CONSTRAINT grown CHECK (age >= 10);
-- then breaks-running-write warning; with (3, 'd@x', 20) (4, 'e@x', 5)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);
-- then breaks-running-write warning; with (33, 1) (3, 1)
UPDATE account SET age = $1 WHERE id = $2;
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email, age) VALUES ($1, $2, 3);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email, age) VALUES ($1, $2, 30);
-- then fine; with ('z', 1)
UPDATE account SET name = $1 WHERE id = $2;
-- then breaks-running-write error; with (1)
UPDATE account SET age = 1 WHERE id = $1;
-- then fine; with (2)
DELETE FROM part WHERE id = $1;
-- then breaks-running-write warning; with (1, 'a@x', 33) (1, 'a@x', 2)
INSERT INTO account (id, email) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET age = $3;
-- then breaks-running-write warning; with (1, 33) (1, 3)
WITH ids AS (UPDATE account SET age = $2 WHERE id = $1 RETURNING id) SELECT id FROM ids;
-- then breaks-running-write warning; with (33) (3)
MERGE INTO account USING (VALUES (1)) AS of (id) ON account.id = of.id WHEN MATCHED THEN UPDATE SET age = $1;

-- change: a check that is not valid yet holds for new rows
ALTER TABLE account ADD CONSTRAINT grown CHECK (age >= 10) NOT VALID;
-- then breaks-running-write warning; with (3, 'd@x', 20) (4, 'e@x', 5)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);

-- change: a check that was there under another name
ALTER TABLE account ADD CONSTRAINT known CHECK (status IN ('new', 'open')); ALTER TABLE account DROP CONSTRAINT account_status_check;
-- then fine; with (3, 'd@x', 'new')
INSERT INTO account (id, email, status) VALUES ($1, $2, $3);

-- change: a check that allows more than the one before
ALTER TABLE account DROP CONSTRAINT account_status_check, ADD CONSTRAINT known CHECK (status IN ('new', 'open', 'closed'));
-- then fine; with (3, 'd@x', 'new')
INSERT INTO account (id, email, status) VALUES ($1, $2, $3);
-- then fine; with ('open', 1)
UPDATE account SET status = $1 WHERE id = $2;

-- change: a check that allows less than the one before
ALTER TABLE account DROP CONSTRAINT account_status_check, ADD CONSTRAINT known CHECK (status IN ('open')) NOT VALID;
-- then breaks-running-write warning; with (3, 'd@x', 'open') (4, 'e@x', 'new')
INSERT INTO account (id, email, status) VALUES ($1, $2, $3);
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email, status) VALUES ($1, $2, 'new');

-- change: a check that the column's NOT NULL implies
ALTER TABLE account ADD CONSTRAINT there CHECK (email IS NOT NULL);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);

-- change: a column whose default passes its check
ALTER TABLE account ADD COLUMN points int NOT NULL DEFAULT 1 CHECK (points > 0);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);

-- change: a column whose default fails its check
ALTER TABLE account ADD COLUMN points int DEFAULT 0; ALTER TABLE account ADD CHECK (points > 0) NOT VALID;
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then fine; with (2)
DELETE FROM visit WHERE account_id = $1;

-- change: a check over old and new columns
ALTER TABLE account ADD COLUMN least int NOT NULL DEFAULT 10, ADD CONSTRAINT over CHECK (age >= least);
-- then breaks-running-write warning; with (3, 'd@x', 20) (4, 'e@x', 5)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);

-- change: NOT NULL on a column that is written
ALTER TABLE account ALTER COLUMN name SET NOT NULL;
-- then breaks-running-write warning; with (3, 'd@x', 'Di') (4, 'e@x', NULL)
INSERT INTO account (id, email, name) VALUES ($1, $2, $3);
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email, name) VALUES ($1, $2, NULL);
-- then breaks-running-write error; with (1)
UPDATE account SET name = NULL WHERE id = $1;
-- then fine; with (1)
UPDATE account SET name = 'x' WHERE id = $1;
-- then breaks-running-write error; with (3, 'd@x', 'open')
INSERT INTO opened (id, email, status) VALUES ($1, $2, $3);
-- then breaks-running-write warning; with ('x', 1) (NULL, 1)
UPDATE labels SET label = $1 WHERE id = $2;

-- change: NOT NULL that a check implied
ALTER TABLE team ADD CONSTRAINT there CHECK (title IS NOT NULL); ALTER TABLE team ALTER COLUMN title SET NOT NULL; ALTER TABLE team DROP CONSTRAINT there;
-- then breaks-running-write warning; with (5, 'x') (6, NULL)
INSERT INTO team (id, title) VALUES ($1, $2);

-- change: NOT NULL where a trigger fills the column
UPDATE team SET code = 'y'; ALTER TABLE team ALTER COLUMN code SET NOT NULL;
-- then fine; with (5)
INSERT INTO team (id) VALUES ($1);

-- change: a default that goes from a column that has to have a value
ALTER TABLE account ALTER COLUMN seen DROP DEFAULT;
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then fine; with (3, 'd@x', 4)
INSERT INTO account (id, email, seen) VALUES ($1, $2, $3);

-- change: another default
ALTER TABLE account ALTER COLUMN seen SET DEFAULT 4;
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);

-- change: identity that goes
ALTER TABLE item ALTER COLUMN id DROP IDENTITY;
-- then breaks-running-write error; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);

-- change: identity that always counts
ALTER TABLE item ALTER COLUMN id SET GENERATED ALWAYS;
-- then fine; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);
-- then breaks-running-query error
INSERT INTO item (id, account_id) VALUES ($1, $2);

-- change: a column that is computed now
ALTER TABLE account DROP COLUMN big; ALTER TABLE account ADD COLUMN big bigint GENERATED ALWAYS AS (age) STORED;
-- then breaks-running-query error
INSERT INTO account (id, email, big) VALUES ($1, $2, $3);
-- then fine; with (3, 'd@x', 4)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);

-- change: a computed column that has to have a value, of one that has
ALTER TABLE account ADD COLUMN lower text GENERATED ALWAYS AS (lower(email)) STORED NOT NULL;
-- then fine; with (3, 'd@x', 4)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);

-- change: a computed column that has to have a value, of an expression that always has one
ALTER TABLE account ADD COLUMN shown text GENERATED ALWAYS AS (coalesce(name::text, '') || lower(email)) STORED NOT NULL;
-- then fine; with (3, 'd@x', NULL)
INSERT INTO account (id, email, name) VALUES ($1, $2, $3);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then fine; with (NULL, 1)
UPDATE account SET name = $1 WHERE id = $2;

-- change: computed columns of other types
ALTER TABLE account ADD COLUMN grown int GENERATED ALWAYS AS (CASE WHEN age > 17 THEN 1 ELSE 0 END) STORED NOT NULL,
  ADD COLUMN months int GENERATED ALWAYS AS (age * 12) STORED, ADD COLUMN is_new boolean GENERATED ALWAYS AS (seen = 0 AND email <> '') STORED NOT NULL,
  ADD COLUMN words tsvector GENERATED ALWAYS AS (setweight(to_tsvector('simple', coalesce(name, '')), 'A')) STORED NOT NULL;
-- then fine; with (3, 'd@x', NULL, 7) (4, 'e@x', 'Ed', NULL)
INSERT INTO account (id, email, name, age) VALUES ($1, $2, $3, $4);
-- then fine; with (1, 40)
UPDATE account SET age = $2 WHERE id = $1;

-- change: a computed column that has to have a value, of one that may be NULL
UPDATE account SET age = 1; ALTER TABLE account ADD COLUMN months int GENERATED ALWAYS AS (age * 12) STORED NOT NULL;
-- then breaks-running-write warning; with (3, 'd@x', 4) (4, 'e@x', NULL)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);

-- change: a unique constraint on a written column
ALTER TABLE account ADD CONSTRAINT account_name_key UNIQUE (name);
-- then breaks-running-write warning; with (3, 'd@x', 'Di') (4, 'e@x', 'Ann')
INSERT INTO account (id, email, name) VALUES ($1, $2, $3);
-- then fine; with (3, 'd@x') (4, 'e@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then breaks-running-write warning; with ('Di', 1) ('Bo', 1)
UPDATE account SET name = $1 WHERE id = $2;
-- then fine; with (3, 1)
UPDATE account SET age = $1 WHERE id = $2;
-- then fine; with (3, 'd@x', 'Ann')
INSERT INTO account (id, email, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;
-- then breaks-running-write warning; with (3, 'd@x', 'Di') (4, 'e@x', 'Ann')
INSERT INTO account (id, email, name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING;
-- then breaks-running-write warning; with ('Di', 1) ('Bo', 1)
UPDATE labels SET label = $1 WHERE id = $2;

-- change: a unique index on an expression of rows that a condition chooses
CREATE UNIQUE INDEX ON account (lower(name)) WHERE status = 'open';
-- then breaks-running-write warning; with (3, 'd@x', 'Di', 'open') (4, 'e@x', 'ANN', 'open')
INSERT INTO account (id, email, name, status) VALUES ($1, $2, $3, $4);
-- then fine; with (4, 'e@x', 'ANN')
INSERT INTO account (id, email, name, status) VALUES ($1, $2, $3, 'new');
-- then breaks-running-write warning; with (4) (3)
UPDATE account SET status = 'open', name = 'ANN' WHERE id = 2 AND 3 = $1;

-- change: a wider unique constraint than the one there
ALTER TABLE account ADD UNIQUE (email, age);
-- then fine; with (3, 'd@x', 4)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);

-- change: the same unique index under another name
CREATE UNIQUE INDEX account_email_idx ON account (email); ALTER TABLE account DROP CONSTRAINT account_email_key;
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then fine; with (3, 'a@x')
INSERT INTO account (id, email) VALUES ($1, $2) ON CONFLICT (email) DO NOTHING;
-- then breaks-running-query error
INSERT INTO account (id, email) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT account_email_key DO NOTHING;

-- change: a unique column that is the same in each row
DELETE FROM log; ALTER TABLE log ADD COLUMN slug text NOT NULL DEFAULT '' UNIQUE;
-- then breaks-running-write error; with ('x') ('y') ('z')
INSERT INTO log (what) VALUES ($1);

-- change: a unique column that the server fills
ALTER TABLE log ADD COLUMN slug uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE, ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
-- then fine; with ('x') ('y')
INSERT INTO log (what) VALUES ($1);

-- change: an exclusion constraint
ALTER TABLE item ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&);
-- then breaks-running-write warning; with (1, '[1,5)') (1, '[3,6)')
INSERT INTO item (account_id, during) VALUES ($1, $2);
-- then fine; with (1, 'x')
INSERT INTO item (account_id, sku) VALUES ($1, $2);

-- change: a foreign key on a written column
ALTER TABLE account ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES team;
-- then breaks-running-write warning; with (3, 'd@x', 1) (4, 'e@x', 77)
INSERT INTO account (id, email, team_id) VALUES ($1, $2, $3);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then breaks-running-write warning; with (1, 2) (1, 77)
UPDATE account SET team_id = $2 WHERE id = $1;
-- then fine; with (1)
UPDATE account SET team_id = NULL WHERE id = $1;
-- then breaks-running-write warning; with (3) (1)
DELETE FROM team WHERE id = $1;
-- then breaks-running-write warning; with (3, 33) (1, 11)
UPDATE team SET id = $2 WHERE id = $1;
-- then fine; with (1, 'green')
UPDATE team SET title = $2 WHERE id = $1;
-- then fine; with (6, 'x')
INSERT INTO ruled (id, title) VALUES ($1, $2);

-- change: a foreign key that takes the rows along
ALTER TABLE account ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES team ON DELETE SET NULL ON UPDATE CASCADE;
-- then fine; with (3) (1)
DELETE FROM team WHERE id = $1;
-- then fine; with (3, 33) (1, 11)
UPDATE team SET id = $2 WHERE id = $1;

-- change: a foreign key that sets a column NULL which has to have a value
ALTER TABLE account ALTER COLUMN seen SET DEFAULT 1; UPDATE account SET seen = 1; ALTER TABLE account ADD FOREIGN KEY (seen) REFERENCES team ON DELETE SET NULL;
-- then breaks-running-write warning; with (3) (1)
DELETE FROM team WHERE id = $1;

-- change: a foreign key of a new table that refers to an old one
CREATE TABLE badge (id int PRIMARY KEY, account_id int REFERENCES account); INSERT INTO badge VALUES (1, 9);
-- then breaks-running-write warning; with (0) (9)
DELETE FROM account WHERE id = $1;
-- then fine; with (1, 9)
UPDATE account SET age = $1 WHERE id = $2;

-- change: a foreign key of a new table that has no rows yet
CREATE TABLE badge (id int PRIMARY KEY, account_id int NOT NULL REFERENCES account);
-- then fine; with (9)
DELETE FROM account WHERE id = $1;
-- then fine; with (9, 99)
UPDATE account SET id = $2 WHERE id = $1;

-- change: a foreign key of a new column that has no values yet
ALTER TABLE team ADD COLUMN owner int REFERENCES account, ADD COLUMN above int REFERENCES team;
-- then fine; with (9)
DELETE FROM account WHERE id = $1;
-- then fine; with (1)
DELETE FROM team WHERE id = $1;

-- change: a foreign key of a new column that has values
ALTER TABLE team ADD COLUMN owner int DEFAULT 9 REFERENCES account; ALTER TABLE team ALTER COLUMN owner DROP DEFAULT;
-- then breaks-running-write warning; with (0) (9)
DELETE FROM account WHERE id = $1;

-- change: rows below those that a DELETE takes along are held
CREATE TABLE screw (part int); ALTER TABLE part ADD PRIMARY KEY (id); ALTER TABLE screw ADD FOREIGN KEY (part) REFERENCES part; INSERT INTO screw VALUES (1);
-- then breaks-running-write warning; with (102) (101)
DELETE FROM item WHERE id = $1;

-- change: a foreign key that no longer takes the rows along
ALTER TABLE part DROP CONSTRAINT part_item_id_fkey, ADD CONSTRAINT part_of FOREIGN KEY (item_id) REFERENCES item;
-- then breaks-running-write warning; with (102) (101)
DELETE FROM item WHERE id = $1;
-- then fine; with (5, 101)
INSERT INTO part (id, item_id) VALUES ($1, $2);

-- change: a foreign key that was there under another name
ALTER TABLE part ADD CONSTRAINT part_of FOREIGN KEY (item_id) REFERENCES item ON DELETE CASCADE NOT VALID; ALTER TABLE part DROP CONSTRAINT part_item_id_fkey;
-- then fine; with (102) (101)
DELETE FROM item WHERE id = $1;
-- then fine; with (5, 101)
INSERT INTO part (id, item_id) VALUES ($1, $2);

-- change: a domain takes less
ALTER DOMAIN short ADD CONSTRAINT lower CHECK (VALUE = lower(VALUE));
-- then breaks-running-write warning; with (3, 'd@x', 'n') (4, 'e@x', 'N')
INSERT INTO account (id, email, note) VALUES ($1, $2, $3);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then breaks-running-write error; with (1)
UPDATE account SET note = 'N' WHERE id = $1;

-- change: a check takes the place of a domain
ALTER TABLE account ALTER COLUMN address TYPE text, ADD CHECK (address LIKE '%@%');
-- then changes-running-parameters warning; with (3, 'd@x', 'd@x')
INSERT INTO account (id, email, address) VALUES ($1, $2, $3);

-- change: a shorter type
ALTER TABLE account ALTER COLUMN code TYPE varchar(5);
-- then breaks-running-write warning; with (3, 'd@x', 'Di') (4, 'e@x', 'Edward')
INSERT INTO account (id, email, code) VALUES ($1, $2, $3);
-- then fine; with (1)
UPDATE account SET code = 'Annie' WHERE id = $1;
-- then breaks-running-write error; with (1)
UPDATE account SET code = 'Annabella' WHERE id = $1;

-- change: a longer type
ALTER TABLE account ALTER COLUMN code TYPE varchar(50), ALTER COLUMN price TYPE numeric(9, 2);
-- then fine; with (3, 'd@x', 'Di')
INSERT INTO account (id, email, code) VALUES ($1, $2, $3);
-- then fine; with (3, 1)
UPDATE account SET price = $1 WHERE id = $2;

-- change: a number with fewer digits
ALTER TABLE account ALTER COLUMN price TYPE numeric(5, 2);
-- then breaks-running-write warning; with (3, 1) (12345, 1)
UPDATE account SET price = $1 WHERE id = $2;

-- change: a partition that is gone
DROP TABLE visit_2025;
-- then breaks-running-write warning; with (1, '2026-01-01') (1, '2025-01-01')
INSERT INTO visit (account_id, day) VALUES ($1, $2);
-- then fine; with (1)
DELETE FROM visit WHERE account_id = $1;

-- change: partitions that come
CREATE TABLE visit_2027 PARTITION OF visit FOR VALUES FROM ('2027-01-01') TO ('2028-01-01'); CREATE TABLE visit_rest PARTITION OF visit DEFAULT;
-- then fine; with (1, '2026-01-01') (1, '2025-01-01')
INSERT INTO visit (account_id, day) VALUES ($1, $2);

-- change: a check of a single partition
ALTER TABLE visit_2025 ADD CHECK (account_id > 0);
-- then breaks-running-write warning; with (1, '2025-01-01') (-1, '2025-01-01')
INSERT INTO visit (account_id, day) VALUES ($1, $2);

-- change: a table that becomes a partition
DELETE FROM log; CREATE TABLE logs (LIKE log) PARTITION BY LIST (what); ALTER TABLE logs ATTACH PARTITION log FOR VALUES IN ('x');
-- then breaks-running-write warning; with ('x') ('y')
INSERT INTO log (what) VALUES ($1);

-- change: what does not concern the statements
CREATE TABLE other (id int PRIMARY KEY CHECK (id > 0)); ALTER TABLE account RENAME CONSTRAINT account_status_check TO known; CREATE INDEX ON account (age);
-- then fine; with (3, 'd@x', 'new')
INSERT INTO account (id, email, status) VALUES ($1, $2, $3);
-- then fine; with (9)
DELETE FROM account WHERE id = $1;
-- then fine; with (1, 5)
UPDATE account SET age = $2 WHERE id = $1;

-- change: NOT NULL on a column whose values are never NULL
ALTER TABLE account ALTER COLUMN big SET NOT NULL, ALTER COLUMN age SET NOT NULL; UPDATE account SET name = 'x'; ALTER TABLE account ALTER COLUMN name SET NOT NULL;
-- then fine; with (1)
UPDATE account SET big = big + 1 WHERE id = $1;
-- then fine; with (1)
UPDATE account AS a SET age = a.age * 2 + 1, name = upper(a.name) WHERE id = $1;
-- then fine; with (1, NULL)
UPDATE account SET age = coalesce($2, age, 0) WHERE id = $1;
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email, age, big, name) SELECT $1, $2, 3, count(*), CURRENT_USER FROM team;
-- then breaks-running-write warning; with (1, 2) (1, NULL)
UPDATE account SET big = big + $2 WHERE id = $1;
-- then fine; with (1)
UPDATE opened SET label = label || 'x' WHERE id = $1;
-- then breaks-running-write warning; with (1) (2)
UPDATE account SET age = nullif(i.n, 3) FROM item AS i WHERE i.account_id = account.id AND account.id = $1;

-- change: a check that is not valid for the rows that are there
ALTER TABLE account ADD CONSTRAINT grown CHECK (age >= 20) NOT VALID;
-- then breaks-running-write warning; with ('z', 1) ('z', 2)
UPDATE account SET note = $1 WHERE id = $2;
-- then fine; with (2)
SELECT note FROM account WHERE id = $1;

-- change: defaults of char and bit columns pass their checks
ALTER TABLE account ADD COLUMN lang char(2) NOT NULL DEFAULT 'en' CHECK (lang IN ('en', 'sv')),
  ADD COLUMN flags bit(3) NOT NULL DEFAULT B'010' CHECK (flags <> B'000');
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);

-- change: a domain on a column whose name has a backslash
ALTER TABLE account ADD COLUMN "a\b" email NOT NULL DEFAULT 'x@y';
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
