-- One property changed at a time, in the database of everything.sql. Above each: every object whose row has to change.
-- "unseen": pg_dump does not show this change. "from 18": only there. Each comes after those above it.

-- schema extra
CREATE SCHEMA extra;

-- comment schema app
COMMENT ON SCHEMA app IS 'something else';

-- unseen
-- comment extension plpgsql
COMMENT ON EXTENSION plpgsql IS 'something else';

-- type app.status
ALTER TYPE app.status ADD VALUE 'late' BEFORE 'done';

-- type app.status
-- column app.item.status
ALTER TYPE app.status RENAME VALUE 'new' TO 'fresh';

-- comment type app.status
COMMENT ON TYPE app.status IS NULL;

-- privilege type app.status to PUBLIC
REVOKE USAGE ON TYPE app.status FROM PUBLIC;

-- owner type app.status
ALTER TYPE app.status OWNER TO pg_monitor;

-- type app.pair
CREATE TYPE app.pair AS (a integer, b text);
ALTER TYPE app.pair ALTER ATTRIBUTE a TYPE bigint;

-- comment column app.address.street
COMMENT ON COLUMN app.address.street IS 'without number';

-- type app.base
ALTER TYPE app.base SET (ANALYZE = array_typanalyze);

-- type app.later
DROP TYPE app.later;

-- type app.other_span
CREATE TYPE app.other_span AS RANGE (subtype = text, collation = "C");

-- domain app.score
ALTER DOMAIN app.score SET DEFAULT 1;

-- domain app.score
ALTER DOMAIN app.score SET NOT NULL;

-- domain app.score
ALTER DOMAIN app.score ADD CONSTRAINT score_limit CHECK (VALUE < 100) NOT VALID;

-- domain app.score
ALTER DOMAIN app.score VALIDATE CONSTRAINT score_limit;

-- comment constraint score_check on app.score
COMMENT ON CONSTRAINT score_check ON DOMAIN app.score IS 'it is not negative';

-- domain app.score
-- from 18
ALTER DOMAIN app.score DROP NOT NULL;
ALTER DOMAIN app.score ADD CONSTRAINT score_is_there NOT NULL;

-- domain app.code
CREATE DOMAIN app.code AS text COLLATE "C";

-- collation app.posix
CREATE COLLATION app.posix (provider = libc, lc_collate = 'POSIX', lc_ctype = 'POSIX');

-- collation app.plain
DROP COLLATION app.plain;

-- conversion app.latin
DROP CONVERSION app.latin;

-- conversion app.latin
CREATE DEFAULT CONVERSION app.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) STABLE;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) STRICT;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) SECURITY DEFINER;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) LEAKPROOF;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) PARALLEL SAFE;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) COST 7;

-- function app.f(integer,text)
ALTER FUNCTION app.f(integer, text) SET search_path = app;

-- function app.f(integer,text)
CREATE OR REPLACE FUNCTION app.f(a integer, b text DEFAULT 'y') RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN a;
END
$$;

-- function app.f(integer,text)
CREATE OR REPLACE FUNCTION app.f(a integer, b text DEFAULT 'y') RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN a + 1;
END
$$;

-- function app.f(bigint)
CREATE OR REPLACE FUNCTION app.f(a bigint) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;

-- extension dependency function app.f(bigint)
ALTER FUNCTION app.f(bigint) DEPENDS ON EXTENSION plpgsql;

-- comment function app.f(bigint)
COMMENT ON FUNCTION app.f(bigint) IS 'the large one';

-- privilege function app.f(bigint) to PUBLIC
REVOKE EXECUTE ON FUNCTION app.f(bigint) FROM PUBLIC;

-- privilege function app.f(integer,text) to pg_monitor
GRANT EXECUTE ON FUNCTION app.f(integer, text) TO pg_monitor WITH GRANT OPTION;

-- procedure app.p(integer)
ALTER PROCEDURE app.p(integer) SET work_mem = '8MB';

-- aggregate app.total(integer)
CREATE OR REPLACE AGGREGATE app.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '1');

-- aggregate app.total(integer)
CREATE OR REPLACE AGGREGATE app.total(integer) (
  SFUNC = int4pl, STYPE = integer, INITCOND = '1', COMBINEFUNC = int4pl, PARALLEL = safe);

-- aggregate app.total(integer)
CREATE OR REPLACE AGGREGATE app.total(integer) (
  SFUNC = int4pl, STYPE = integer, INITCOND = '1', MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = integer, MINITCOND = '1');

-- aggregate app.total(integer)
CREATE OR REPLACE AGGREGATE app.total(integer) (
  SFUNC = int4pl, STYPE = integer, INITCOND = '1', FINALFUNC = int4abs, FINALFUNC_MODIFY = read_write, SSPACE = 100);

-- comment aggregate app.total(integer)
COMMENT ON AGGREGATE app.total(integer) IS 'the sum';

-- operator app.===(app.base,app.base)
ALTER OPERATOR app.=== (app.base, app.base) SET (RESTRICT = eqsel);

-- operator app.===(app.base,app.base)
ALTER OPERATOR app.=== (app.base, app.base) SET (JOIN = eqjoinsel);

-- comment operator app.===(app.base,app.base)
COMMENT ON OPERATOR app.=== (app.base, app.base) IS 'the same';

-- operator family app.bases using btree
ALTER OPERATOR FAMILY app.bases USING btree ADD FUNCTION 4 (app.base, app.base) btequalimage(oid);

-- operator class app.other_ops using btree
CREATE OPERATOR CLASS app.other_ops FOR TYPE integer USING btree FAMILY app.bases AS STORAGE integer;

-- comment operator class app.base_ops using btree
COMMENT ON OPERATOR CLASS app.base_ops USING btree IS 'for bases';

-- cast (integer AS app.base)
DROP CAST (integer AS app.base);

-- cast (integer AS app.base)
CREATE CAST (integer AS app.base) WITHOUT FUNCTION AS ASSIGNMENT;

-- text search parser app.other_words
CREATE TEXT SEARCH PARSER app.other_words (
  START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);

-- text search template app.other_template
CREATE TEXT SEARCH TEMPLATE app.other_template (LEXIZE = dsimple_lexize);

-- text search dictionary app.dictionary
ALTER TEXT SEARCH DICTIONARY app.dictionary (accept = false);

-- text search configuration app.search
ALTER TEXT SEARCH CONFIGURATION app.search ALTER MAPPING FOR word WITH simple, app.dictionary;

-- text search configuration app.search
ALTER TEXT SEARCH CONFIGURATION app.search DROP MAPPING FOR word;

-- language speech
DROP LANGUAGE speech;

-- language speech
CREATE TRUSTED LANGUAGE speech HANDLER plpgsql_call_handler VALIDATOR plpgsql_validator;

-- transform for integer language sql
CREATE OR REPLACE TRANSFORM FOR integer LANGUAGE sql (TO SQL WITH FUNCTION int4recv(internal));

-- access method tree
CREATE ACCESS METHOD tree TYPE INDEX HANDLER bthandler;

-- sequence app.ticket
ALTER SEQUENCE app.ticket AS bigint MAXVALUE 2147483647;

-- sequence app.ticket
ALTER SEQUENCE app.ticket START WITH 6;

-- sequence app.ticket
ALTER SEQUENCE app.ticket INCREMENT BY 2;

-- sequence app.ticket
ALTER SEQUENCE app.ticket MINVALUE 2;

-- sequence app.ticket
ALTER SEQUENCE app.ticket MAXVALUE 1000;

-- sequence app.ticket
ALTER SEQUENCE app.ticket CACHE 1;

-- sequence app.ticket
ALTER SEQUENCE app.ticket CYCLE;

-- sequence app.ticket
ALTER SEQUENCE app.ticket OWNED BY app.plain.a;

-- sequence app.ticket
ALTER SEQUENCE app.ticket OWNED BY NONE;

-- sequence app.ticket
-- from 15
ALTER SEQUENCE app.ticket SET UNLOGGED;

-- sequence app.item_old_id_seq
ALTER SEQUENCE app.item_old_id_seq OWNED BY NONE;

-- privilege sequence app.ticket to pg_monitor
GRANT USAGE ON SEQUENCE app.ticket TO pg_monitor;

-- privilege sequence app.owner_id_seq to pg_monitor
GRANT USAGE ON SEQUENCE app.owner_id_seq TO pg_monitor;

-- table app.other_parent
ALTER TABLE app.other_parent SET UNLOGGED;

-- table app.plain
ALTER TABLE app.plain SET (fillfactor = 70);

-- table app.plain
ALTER TABLE app.plain SET (toast.autovacuum_enabled = false);

-- table app.plain
ALTER TABLE app.plain ENABLE ROW LEVEL SECURITY;

-- table app.plain
ALTER TABLE app.plain FORCE ROW LEVEL SECURITY;

-- table app.plain
ALTER TABLE app.plain REPLICA IDENTITY FULL;

-- index app.item_old_id_idx
ALTER TABLE app.item REPLICA IDENTITY USING INDEX item_old_id_idx;

-- index app.item_made_idx
DROP INDEX app.item_made_idx;
CREATE INDEX item_made_idx ON app.item (made, lower(name)) WHERE price > 1;
COMMENT ON INDEX app.item_made_idx IS 'for the list';

-- table app.in_heap2
-- column app.in_heap2.a
-- privilege table app.in_heap2 to pg_monitor
CREATE TABLE app.in_heap2 (a integer) USING heap2;

-- owner table app.plain
ALTER TABLE app.plain OWNER TO pg_monitor;

-- owner sequence app.ticket
-- privilege sequence app.ticket to pg_monitor
ALTER SEQUENCE app.ticket OWNER TO pg_monitor;

-- comment table app.plain
COMMENT ON TABLE app.plain IS 'plain';

-- privilege table app.item to pg_monitor
REVOKE INSERT ON app.item FROM pg_monitor;

-- privilege table app.item to pg_monitor
GRANT SELECT ON app.item TO pg_monitor WITH GRANT OPTION;

-- privilege table app.item to PUBLIC
GRANT SELECT ON app.item TO PUBLIC;

-- privilege table app.item to its owner
REVOKE TRUNCATE ON app.item FROM CURRENT_USER;

-- privilege column app.item.name to pg_monitor
GRANT INSERT (name) ON app.item TO pg_monitor;

-- privilege column app.item.price to pg_monitor
GRANT REFERENCES (price) ON app.item TO pg_monitor;

-- privilege function pg_ls_logdir() to pg_read_all_data
GRANT EXECUTE ON FUNCTION pg_ls_logdir() TO pg_read_all_data;

-- privilege function app.member_function() to PUBLIC
REVOKE EXECUTE ON FUNCTION app.member_function() FROM PUBLIC;

-- privilege table pg_authid to pg_monitor
GRANT SELECT ON pg_authid TO pg_monitor;

-- privilege function pg_sleep(double precision) to PUBLIC
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC;

-- privilege language plpgsql to PUBLIC
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;

-- privilege type app.member_type to pg_monitor
-- privilege type app.member_type to PUBLIC
REVOKE USAGE ON TYPE app.member_type FROM PUBLIC;
GRANT USAGE ON TYPE app.member_type TO pg_monitor;

-- privilege schema pg_catalog to pg_monitor
GRANT CREATE ON SCHEMA pg_catalog TO pg_monitor;

-- privilege schema app to pg_monitor
GRANT CREATE ON SCHEMA app TO pg_monitor;

-- privilege schema public to PUBLIC
REVOKE USAGE ON SCHEMA public FROM PUBLIC;

-- column app.plain.e
ALTER TABLE app.plain ADD COLUMN e date;

-- column app.plain.e
ALTER TABLE app.plain DROP COLUMN IF EXISTS e;
ALTER TABLE app.plain ADD COLUMN e timestamp;

-- column order app.plain
ALTER TABLE app.plain DROP COLUMN c;
ALTER TABLE app.plain ADD COLUMN c text;

-- column app.plain.d
ALTER TABLE app.plain ALTER COLUMN d TYPE bigint;

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b TYPE varchar(20);

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b TYPE varchar(20) COLLATE "C";

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET NOT NULL;

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET DEFAULT 'b';

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET DEFAULT 'c';

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET STATISTICS 10;

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET STORAGE EXTERNAL;

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET COMPRESSION pglz;

-- column app.plain.b
ALTER TABLE app.plain ALTER COLUMN b SET (n_distinct = 5);

-- comment column app.plain.b
COMMENT ON COLUMN app.plain.b IS 'bee';

-- column app.plain.a
ALTER TABLE app.plain ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME app.plain_ids);

-- column app.owner.id
ALTER TABLE app.owner ALTER COLUMN id SET GENERATED ALWAYS;

-- column app.owner.id
ALTER TABLE app.owner ALTER COLUMN id SET INCREMENT BY 3;

-- column app.owner.id
-- privilege sequence app.owner_id_seq to pg_monitor
-- privilege sequence app.owner_ids to pg_monitor
ALTER SEQUENCE app.owner_id_seq RENAME TO owner_ids;

-- column app.item.twice
ALTER TABLE app.item ALTER COLUMN twice DROP EXPRESSION;

-- column app.item.place
-- column app.item.spot
ALTER TABLE app.item RENAME COLUMN place TO spot;

-- constraint plain_a_check on app.plain
ALTER TABLE app.plain ADD CONSTRAINT plain_a_check CHECK (a > 0) NOT VALID;

-- constraint plain_d_check on app.plain
ALTER TABLE app.plain ADD CONSTRAINT plain_d_check CHECK (d > 0) NO INHERIT;

-- constraint plain_d_key on app.plain
ALTER TABLE app.plain ADD CONSTRAINT plain_d_key UNIQUE (d) INCLUDE (a) WITH (fillfactor = 80) DEFERRABLE INITIALLY DEFERRED;

-- constraint plain_d_key on app.plain
-- from 15
ALTER TABLE app.plain DROP CONSTRAINT plain_d_key;
ALTER TABLE app.plain ADD CONSTRAINT plain_d_key UNIQUE NULLS NOT DISTINCT (d);

-- constraint item_pkey on app.item
ALTER INDEX app.item_pkey SET (fillfactor = 80);

-- constraint item_owner_id_fkey on app.item
ALTER TABLE app.item ALTER CONSTRAINT item_owner_id_fkey DEFERRABLE;

-- constraint item_owner_id_fkey on app.item
ALTER TABLE app.item ALTER CONSTRAINT item_owner_id_fkey DEFERRABLE INITIALLY DEFERRED;

-- constraint item_owner_id_fkey on app.item
ALTER TABLE app.item DROP CONSTRAINT item_owner_id_fkey;
ALTER TABLE app.item ADD CONSTRAINT item_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES app.owner ON DELETE SET NULL NOT VALID;

-- constraint item_owner_id_fkey on app.item
ALTER TABLE app.item VALIDATE CONSTRAINT item_owner_id_fkey;

-- unseen
-- constraint item_owner_id_fkey on app.item
-- constraint item_name_key on app.item
ALTER TABLE app.item DISABLE TRIGGER ALL;
ALTER TABLE app.item ENABLE TRIGGER item_row;

-- comment constraint item_price_check on app.item
COMMENT ON CONSTRAINT item_price_check ON app.item IS 'it costs';

-- constraint item_name_key on app.item
-- constraint item_name_key2 on app.item
ALTER TABLE app.item RENAME CONSTRAINT item_name_key TO item_name_key2;

-- constraint item_pkey on app.item
ALTER TABLE app.item CLUSTER ON item_pkey;

-- constraint note_is_known on app.log_2027
-- column app.log_2027.note
-- from 18
ALTER TABLE app.log_2027 ADD CONSTRAINT note_is_known NOT NULL note;

-- constraint not null of app.plain.c
-- column app.plain.c
-- from 18
ALTER TABLE app.plain ADD CONSTRAINT plain_c_not_null NOT NULL c NOT VALID;

-- comment constraint not null of app.plain.c
-- from 18
COMMENT ON CONSTRAINT plain_c_not_null ON app.plain IS 'it is known';

-- comment constraint not null of app.plain.a
-- from 18
COMMENT ON CONSTRAINT plain_a_not_null ON app.plain IS 'it is known too';

-- privilege column pg_class.relname to pg_monitor
GRANT SELECT (relname) ON pg_class TO pg_monitor;

-- constraint item_price_limit on app.item
-- from 18
ALTER TABLE app.item ADD CONSTRAINT item_price_limit CHECK (price < 1000) NOT ENFORCED;

-- column app.plain.v
-- from 18
ALTER TABLE app.plain ADD COLUMN v integer GENERATED ALWAYS AS (a + 1) VIRTUAL;

-- index app.item_owner_id_idx
ALTER INDEX app.item_owner_id_idx SET (fillfactor = 50);

-- index app.item_made_idx
ALTER INDEX app.item_made_idx ALTER COLUMN 2 SET STATISTICS 33;

-- index app.item_owner_id_idx
-- constraint item_pkey on app.item
ALTER TABLE app.item CLUSTER ON item_owner_id_idx;

-- index app.log_only
CREATE INDEX log_only ON ONLY app.log (at);

-- index app.log_2026_at
CREATE INDEX log_2026_at ON app.log_2026 (at);

-- index app.log_2026_at
ALTER INDEX app.log_only ATTACH PARTITION app.log_2026_at;

-- index app.item_owner_id_idx
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.item_owner_id_idx'::regclass;

-- comment index app.item_made_idx
COMMENT ON INDEX app.item_made_idx IS 'for another list';

-- comment index app.item_pkey
COMMENT ON INDEX app.item_pkey IS 'the index of the key';

-- table app.child
-- column app.child.z
ALTER TABLE app.child ADD COLUMN z integer;
ALTER TABLE app.child INHERIT app.other_parent;

-- column app.child.a
-- column app.child.b
-- constraint parent_a_check on app.child
-- table app.child
ALTER TABLE app.child NO INHERIT app.parent;

-- table app.log_2027
-- index app.log_2027_note
-- constraint log_2027_pkey on app.log_2027
-- index app.log_2027_at_idx
ALTER TABLE app.log ATTACH PARTITION app.log_2027 FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2028-01-01 00:00:00+00');

-- column app.log_2026.note
ALTER TABLE app.log_2026 ALTER COLUMN note SET DEFAULT '';

-- trigger log_row on app.log_2026
ALTER TABLE app.log_2026 DISABLE TRIGGER log_row;

-- table app.typed
ALTER TABLE app.typed NOT OF;

-- statistics app.item_stats
DROP STATISTICS app.item_stats;
CREATE STATISTICS app.item_stats (mcv) ON name, price FROM app.item;
COMMENT ON STATISTICS app.item_stats IS 'they go together';

-- statistics app.item_stats
ALTER STATISTICS app.item_stats SET STATISTICS 99;

-- trigger item_row on app.item
ALTER TABLE app.item DISABLE TRIGGER item_row;

-- trigger item_row on app.item
ALTER TABLE app.item ENABLE ALWAYS TRIGGER item_row;

-- trigger item_row on app.item
CREATE OR REPLACE TRIGGER item_row BEFORE UPDATE OF price ON app.item FOR EACH ROW WHEN (NEW.price > 2) EXECUTE FUNCTION app.on_row();
ALTER TABLE app.item ENABLE ALWAYS TRIGGER item_row;

-- trigger item_late on app.item
CREATE CONSTRAINT TRIGGER item_late AFTER INSERT ON app.item DEFERRABLE FOR EACH ROW EXECUTE FUNCTION app.on_row();

-- rule item_quiet on app.item
ALTER TABLE app.item DISABLE RULE item_quiet;

-- rule item_quiet on app.item
CREATE OR REPLACE RULE item_quiet AS ON DELETE TO app.item WHERE OLD.price > 3 DO INSTEAD NOTHING;

-- policy item_mine on app.item
ALTER POLICY item_mine ON app.item USING (owner_id = 2);

-- policy item_mine on app.item
ALTER POLICY item_mine ON app.item TO pg_monitor, pg_read_all_data;

-- policy item_new on app.item
CREATE POLICY item_new ON app.item AS RESTRICTIVE FOR INSERT WITH CHECK (price > 4);

-- view app.dear
CREATE OR REPLACE VIEW app.dear WITH (security_barrier) AS SELECT id, name FROM app.item WHERE price > 200;

-- view app.dear
ALTER VIEW app.dear SET (security_barrier = false);

-- view app.dear
CREATE OR REPLACE VIEW app.dear WITH (security_barrier = false, check_option = local) AS
  SELECT id, name FROM app.item WHERE price > 200;

-- column app.dear.name
ALTER VIEW app.dear ALTER COLUMN name SET DEFAULT 'x';

-- comment column app.dear.name
COMMENT ON COLUMN app.dear.name IS 'as written';

-- privilege view app.dear to pg_monitor
GRANT SELECT ON app.dear TO pg_monitor;

-- materialized view app.dear_copy
ALTER MATERIALIZED VIEW app.dear_copy SET (autovacuum_enabled = false);

-- column app.dear_copy.name
ALTER MATERIALIZED VIEW app.dear_copy ALTER COLUMN name SET STORAGE EXTERNAL;

-- unseen
-- materialized view app.dear_copy
REFRESH MATERIALIZED VIEW app.dear_copy WITH NO DATA;

-- foreign data wrapper elsewhere
ALTER FOREIGN DATA WRAPPER elsewhere OPTIONS (SET debug 'false');

-- privilege foreign data wrapper elsewhere to pg_monitor
GRANT USAGE ON FOREIGN DATA WRAPPER elsewhere TO pg_monitor;

-- server far
ALTER SERVER far VERSION '2';

-- server far
ALTER SERVER far OPTIONS (ADD port '1');

-- privilege server far to pg_monitor
GRANT USAGE ON FOREIGN SERVER far TO pg_monitor;

-- user mapping for pg_monitor on far
ALTER USER MAPPING FOR pg_monitor SERVER far OPTIONS (SET username 'you');

-- user mapping for PUBLIC on far
CREATE USER MAPPING FOR PUBLIC SERVER far;

-- foreign table app.remote
ALTER FOREIGN TABLE app.remote OPTIONS (SET relation 'things');

-- column app.remote.id
ALTER FOREIGN TABLE app.remote ALTER COLUMN id OPTIONS (SET remote_name 'number');

-- constraint remote_check on app.remote
ALTER FOREIGN TABLE app.remote ADD CONSTRAINT remote_check CHECK (id > 0);

-- event trigger on_ddl
ALTER EVENT TRIGGER on_ddl ENABLE REPLICA;

-- comment event trigger on_ddl
COMMENT ON EVENT TRIGGER on_ddl IS 'watches';

-- publication feed
ALTER PUBLICATION feed SET (publish = 'insert');

-- publication feed
ALTER PUBLICATION feed SET (publish_via_partition_root);

-- publication feed
ALTER PUBLICATION feed DROP TABLE app.plain;

-- publication feed
-- from 15
ALTER PUBLICATION feed SET TABLE app.owner (id, name);

-- publication feed
-- from 15
ALTER PUBLICATION feed SET TABLE app.owner WHERE (id > 1);

-- publication feed
-- from 15
ALTER PUBLICATION feed ADD TABLES IN SCHEMA public;

-- publication all_tables
CREATE PUBLICATION all_tables FOR ALL TABLES;

-- publication feed
-- from 18
ALTER PUBLICATION feed SET (publish_generated_columns = stored);

-- privilege default for pg_monitor on functions to PUBLIC
ALTER DEFAULT PRIVILEGES FOR ROLE pg_monitor REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- privilege default for pg_monitor in schema app on sequences to pg_read_all_data
ALTER DEFAULT PRIVILEGES FOR ROLE pg_monitor IN SCHEMA app GRANT USAGE ON SEQUENCES TO pg_read_all_data;

-- table app."Quoted Name"
-- table app.renamed
-- column app."Quoted Name".id
-- column app.renamed.id
ALTER TABLE app."Quoted Name" RENAME TO renamed;
