-- change: a column comes
ALTER TABLE account ADD COLUMN total int;
-- then fine; with (1)
SELECT id, email FROM account WHERE id = $1;
-- then changes-running-columns note; with (1)
SELECT * FROM account WHERE id = $1;
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2) RETURNING id;
-- then fine; with ('open')
SELECT count(*) FROM account WHERE status = $1;
-- then fine; with (1)
SELECT id, label FROM labels WHERE id = $1;

-- change: a column goes
ALTER TABLE team DROP COLUMN title CASCADE;
-- then breaks-running-query error
SELECT title FROM team WHERE id = $1;
-- then breaks-running-query error
UPDATE team SET title = $1 WHERE id = $2;
-- then breaks-running-query error
SELECT id FROM team WHERE title = $1;
-- then breaks-running-query error
SELECT id FROM team ORDER BY title;
-- then breaks-running-query error
INSERT INTO team VALUES ($1, 'a', $2);
-- then breaks-running-query error
SELECT id FROM ruled;
-- then fine; with (1)
SELECT id FROM team WHERE id = $1;

-- change: a column has another name
ALTER TABLE account RENAME COLUMN age TO years;
-- then breaks-running-query error
SELECT age FROM account WHERE id = $1;
-- then breaks-running-query error
INSERT INTO account (id, email, age) VALUES ($1, $2, $3) RETURNING id;
-- then breaks-running-query error
WITH old AS (SELECT id FROM account WHERE age > $1) SELECT count(*) FROM old;
-- then fine; with (1)
SELECT team_id, accounts FROM counted WHERE team_id = $1;
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);

-- change: a table has another name and a view the old one
ALTER TABLE team RENAME TO crew; CREATE VIEW team AS SELECT id, title, code FROM crew;
-- then fine; with (1)
SELECT title FROM team WHERE id = $1;
-- then fine; with (5, 'x')
INSERT INTO team (id, title) VALUES ($1, $2);
-- then fine; with ('x', 1)
UPDATE team SET title = $1 WHERE id = $2;
-- then breaks-running-query error
INSERT INTO team (id) VALUES ($1) ON CONFLICT ON CONSTRAINT team_pkey DO NOTHING;

-- change: a table is made anew from its rows
CREATE TABLE team2 (id int PRIMARY KEY, title text, code text); INSERT INTO team2 SELECT * FROM team; DROP TABLE team CASCADE; ALTER TABLE team2 RENAME TO team;
-- then fine; with (5, 'x')
INSERT INTO team (id, title) VALUES ($1, $2);
-- then fine; with (1)
SELECT title FROM team WHERE id = $1;

-- change: a table goes
DROP TABLE visit;
-- then breaks-running-query error
SELECT day FROM visit WHERE account_id = $1;
-- then breaks-running-query error
DELETE FROM visit WHERE account_id = $1;
-- then fine; with (1)
SELECT id FROM item WHERE account_id = $1;

-- change: a schema moves
CREATE SCHEMA cold; ALTER TABLE log SET SCHEMA cold;
-- then breaks-running-query error
SELECT what FROM log;

-- change: a number is bigger
ALTER TABLE part ALTER COLUMN id TYPE bigint;
-- then changes-running-columns warning, changes-running-parameters warning; with (1)
SELECT id FROM part WHERE id = $1;
-- then changes-running-parameters warning; with (5)
INSERT INTO part (id) VALUES ($1);
-- then fine; with (1)
SELECT count(*) FROM part;

-- change: text takes the place of a number
ALTER TABLE part ALTER COLUMN id TYPE text;
-- then changes-running-parameters warning; with (5)
INSERT INTO part (id) VALUES ($1);
-- then breaks-running-query error
SELECT item_id FROM part WHERE id > 5;

-- change: a view without a column
DROP VIEW labels; CREATE VIEW labels AS SELECT id FROM opened;
-- then breaks-running-query error
SELECT label FROM labels;
-- then breaks-running-query error
UPDATE labels SET label = $1 WHERE id = $2;
-- then fine; with (1)
SELECT id FROM labels WHERE id = $1;
-- then changes-running-columns note; with (1)
SELECT * FROM labels WHERE id = $1;

-- change: a view with more columns
CREATE OR REPLACE VIEW labels AS SELECT id, label, status FROM opened;
-- then fine; with (1)
SELECT label FROM labels WHERE id = $1;
-- then fine; with ('x', 1)
UPDATE labels SET label = $1 WHERE id = $2;

-- change: a view that can't be written through any more
CREATE OR REPLACE VIEW labels AS SELECT DISTINCT id, label FROM opened;
-- then breaks-running-query error
UPDATE labels SET label = $1 WHERE id = $2;
-- then fine; with (1)
SELECT label FROM labels WHERE id = $1;

-- change: a view that checks what is written
CREATE OR REPLACE VIEW opened WITH (check_option = cascaded) AS SELECT id, email, name AS label, status FROM account WHERE status = 'open';
-- then breaks-running-write warning; with (3, 'd@x', 'open') (4, 'e@x', 'new')
INSERT INTO opened (id, email, status) VALUES ($1, $2, $3);

-- change: a view goes
DROP VIEW counted;
-- then breaks-running-query error
SELECT accounts FROM counted WHERE team_id = $1;

-- change: a function takes another argument
DROP FUNCTION rename_team; CREATE FUNCTION rename_team(team_id int, new_title text, by text) RETURNS void LANGUAGE sql AS 'SELECT';
-- then breaks-running-query error
SELECT rename_team($1, $2);

-- change: a function returns another type
DROP FUNCTION total CASCADE; CREATE FUNCTION total(of_account int) RETURNS numeric LANGUAGE sql AS 'SELECT 1.0';
-- then changes-running-columns warning; with (1)
SELECT total($1);

-- change: a value more of an enum, an index, a comment, a sequence, a type
ALTER TYPE mood ADD VALUE 'merry'; CREATE INDEX ON account (team_id); COMMENT ON TABLE account IS 'who'; CREATE SEQUENCE s; CREATE TYPE pair AS (a int, b int);
-- then fine; with (1, 'calm')
UPDATE account SET mood = $2 WHERE id = $1;
-- then fine; with (1)
SELECT * FROM account WHERE id = $1;
-- then fine; with (1)
SELECT total($1);
-- then fine; with (1, 'x')
SELECT rename_team($1, $2);

-- change: constraints go
ALTER TABLE account DROP CONSTRAINT account_status_check, ALTER COLUMN email DROP NOT NULL; ALTER TABLE part DROP CONSTRAINT part_item_id_fkey;
-- then fine; with (3, 'd@x', 'new')
INSERT INTO account (id, email, status) VALUES ($1, $2, $3);
-- then fine; with (102)
DELETE FROM item WHERE id = $1;
-- then fine; with (5, 101)
INSERT INTO part (id, item_id) VALUES ($1, $2);

-- change: a value of an enum has another name
ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet';
-- then breaks-running-query warning; with (1, 'angry') (1, 'calm')
UPDATE account SET mood = $2 WHERE id = $1;
-- then breaks-running-query warning; with ('angry') ('calm')
SELECT id FROM account WHERE mood = $1;
-- then breaks-running-query warning; with ('{angry}') ('{calm}')
SELECT id FROM account WHERE mood = ANY ($1);
-- then breaks-running-query error
SELECT id FROM account WHERE mood = 'calm';
-- then fine; with (1)
SELECT id, mood FROM account WHERE id = $1;
-- then fine; with (1)
UPDATE account SET mood = 'angry' WHERE id = $1;
