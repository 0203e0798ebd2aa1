-- change: a trigger that forbids a DELETE
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER kept BEFORE DELETE ON part FOR EACH ROW EXECUTE FUNCTION forbid();
-- then breaks-running-write error; with (1)
DELETE FROM part WHERE id = $1;
-- then breaks-running-write warning; with (102) (101)
DELETE FROM item WHERE id = $1;
-- then fine; with (1, 2)
UPDATE part SET id = $2 WHERE id = $1;

-- change: a trigger that rejects some values
CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' AND NEW.n > 100 THEN
    RAISE EXCEPTION 'too many: %', NEW.n USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER bounds BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION bounded();
-- then breaks-running-write warning; with (1, 5) (1, 500)
INSERT INTO item (account_id, n) VALUES ($1, $2);
-- then fine; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);
-- then fine; with (500, 101)
UPDATE item SET n = $1 WHERE id = $2;
-- then breaks-running-write error; with (1)
INSERT INTO item (account_id, n) VALUES ($1, 500);

-- change: a trigger that demands a new column
ALTER TABLE item ADD COLUMN unit text;
CREATE FUNCTION whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.unit IS NULL THEN RAISE EXCEPTION 'no unit'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER whole BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION whole();
-- then breaks-running-write error; with (1, 's')
INSERT INTO item (account_id, sku) VALUES ($1, $2);
-- then fine; with ('s', 101)
UPDATE item SET sku = $1 WHERE id = $2;

-- change: a trigger that sets a column
CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := OLD.seen + 1; RAISE NOTICE 'seen'; RETURN NEW; END $$;
CREATE TRIGGER counts BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION counted();
-- then fine; with (3, 1)
UPDATE account SET age = $1 WHERE id = $2;

-- change: a trigger for another column
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER kept BEFORE UPDATE OF email ON account FOR EACH ROW EXECUTE FUNCTION forbid();
-- then fine; with (3, 1)
UPDATE account SET age = $1 WHERE id = $2;
-- then breaks-running-write error; with ('q@x', 1)
UPDATE account SET email = $1 WHERE id = $2;

-- change: a trigger with a condition
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER kept BEFORE UPDATE ON account FOR EACH ROW WHEN (OLD.status = 'open') EXECUTE FUNCTION forbid();
-- then breaks-running-write warning; with (3, 2) (3, 1)
UPDATE account SET age = $1 WHERE id = $2;

-- change: a trigger that catches what it raises
CREATE FUNCTION calm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  BEGIN RAISE EXCEPTION 'no'; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN NEW;
END $$;
CREATE TRIGGER calms BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION calm();
-- then fine; with ('x')
INSERT INTO log (what) VALUES ($1);

-- change: a trigger that is disabled
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER kept BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION forbid(); ALTER TABLE log DISABLE TRIGGER kept;
-- then fine; with ('x')
INSERT INTO log (what) VALUES ($1);

-- change: the function of a trigger rejects now
CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF length(NEW.title) > 5 THEN RAISE EXCEPTION 'long'; END IF;
  RETURN NEW;
END $$;
-- then breaks-running-write warning; with (5, 'x') (6, 'xxxxxxx')
INSERT INTO team (id, title) VALUES ($1, $2);
-- then breaks-running-write warning; with (5, 'x') (6, 'xxxxxxx')
INSERT INTO ruled (id, title) VALUES ($1, $2);

-- change: the function of a trigger is laid out in another way
CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A team without a code gets one.
  NEW.code := coalesce(NEW.code, 'x');
  RETURN NEW;
END $$;
-- then fine; with (5, 'x')
INSERT INTO team (id, title) VALUES ($1, $2);

-- change: a trigger keeps a new column, which has to have a value, in step with the old one
ALTER TABLE account ADD COLUMN mail text;
CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.mail IS NULL THEN
      NEW.mail := NEW.email;
    ELSE
      NEW.email := NEW.mail;
    END IF;
  ELSIF NEW.mail IS DISTINCT FROM OLD.mail THEN
    NEW.email := NEW.mail;
  ELSE
    NEW.mail := NEW.email;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION sync();
UPDATE account SET mail = email; ALTER TABLE account ALTER COLUMN mail SET NOT NULL,
  ADD CONSTRAINT same CHECK (mail IS NOT DISTINCT FROM email), ADD CONSTRAINT there CHECK (mail IS NOT NULL);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then fine; with ('q@x', 1)
UPDATE account SET email = $1 WHERE id = $2;
-- then fine; with (3, 1)
UPDATE account SET age = $1 WHERE id = $2;

-- change: a trigger copies a column that may be NULL into one that has to have a value
ALTER TABLE account ADD COLUMN label text;
CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.label := NEW.name::text; RETURN NEW; END $$;
CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION sync();
UPDATE account SET label = email; ALTER TABLE account ALTER COLUMN label SET NOT NULL;
-- then breaks-running-write error; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
-- then breaks-running-write warning; with (3, 'd@x', 'Di') (4, 'e@x', NULL)
INSERT INTO account (id, email, name) VALUES ($1, $2, $3);

-- change: a trigger keeps the column that a new one replaces in step, and lets go of what does not fit there
ALTER TABLE account RENAME age TO age_old; ALTER TABLE account ADD COLUMN age bigint;
CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    NEW.age_old := NEW.age::int;
  EXCEPTION WHEN data_exception THEN
    NEW.age_old := NULL;
  END;
  RETURN NEW;
END $$;
CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION sync();
-- then changes-running-parameters warning; with (3, 'd@x', 20)
INSERT INTO account (id, email, age) VALUES ($1, $2, $3);
-- then fine; with (3, 'd@x')
INSERT INTO account (id, email) VALUES ($1, $2);
