-- change: a column goes that a function of PL/pgSQL reads
ALTER TABLE item DROP COLUMN n CASCADE;
-- then breaks-running-query error; with (1)
SELECT total($1);
-- then breaks-running-query error; with (1)
SELECT id FROM account WHERE total(id) > $1;
-- then fine; with (1)
SELECT id FROM account WHERE id = $1;
-- then fine; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);

-- change: a column goes that a function of SQL writes
ALTER TABLE team DROP COLUMN title CASCADE;
-- then breaks-running-query error; with (1, 'x')
SELECT rename_team($1, $2);
-- then fine; with (5)
INSERT INTO team (id) VALUES ($1);

-- change: the table goes that a trigger writes to
CREATE SCHEMA cold; ALTER TABLE log SET SCHEMA cold;
-- then breaks-running-query error; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);
-- then fine; with ('s', 101)
UPDATE item SET sku = $1 WHERE id = $2;
-- then breaks-running-query error; with (1)
INSERT INTO item (account_id) SELECT id FROM account WHERE id = $1;

-- change: the table that a trigger writes to has to have more
DELETE FROM log; ALTER TABLE log ADD COLUMN who text NOT NULL;
-- then breaks-running-write error; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);
-- then fine; with ('s', 101)
UPDATE item SET sku = $1 WHERE id = $2;

-- change: the table that a function writes to takes less
ALTER TABLE team ADD CONSTRAINT short CHECK (length(title) < 10);
-- then breaks-running-write warning; with (1, 'x') (1, 'longer than that')
SELECT rename_team($1, $2);
-- then fine; with (1)
SELECT total($1);

-- change: a column goes that a function reads in one of its cases
ALTER TABLE account DROP COLUMN mood;
-- then breaks-running-query warning; with (1) (17)
SELECT moody($1);
-- then fine; with (1)
SELECT seen_by($1);

-- change: a column has another name in what a view calls
ALTER TABLE item RENAME COLUMN n TO amount;
-- then breaks-running-query error; with (1)
SELECT total FROM totals WHERE id = $1;
-- then breaks-running-query error; with (1)
SELECT id FROM totals WHERE id = $1;
-- then breaks-running-query error; with (1)
SELECT stable FROM stables WHERE id = $1;
-- then fine; with (1)
SELECT id FROM stables WHERE id = $1;

-- change: the functions are replaced with the column
ALTER TABLE item RENAME COLUMN n TO amount;
CREATE OR REPLACE FUNCTION total(of_account int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(amount) FROM item WHERE account_id = of_account); END $$;
-- then fine; with (1)
SELECT total($1);

-- change: a column that functions do not name comes
ALTER TABLE item ADD COLUMN extra int; ALTER TABLE account ADD COLUMN extra int;
-- then fine; with (1)
SELECT total($1);
-- then fine; with (17)
SELECT moody($1);
-- then fine; with (1)
SELECT seen_by($1);
-- then fine; with (1)
SELECT looped($1);
-- then fine; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);

-- change: a table goes that a loop reads
DROP TABLE part;
-- then breaks-running-query error; with (1)
SELECT looped($1);
-- then fine; with (1)
SELECT total($1);

-- change: a column goes that a function with quoted names writes
ALTER TABLE account DROP COLUMN age;
-- then breaks-running-query error; with (1, 2)
SELECT "Set it"($1, $2);
-- then fine; with (1)
SELECT seen_by($1);
