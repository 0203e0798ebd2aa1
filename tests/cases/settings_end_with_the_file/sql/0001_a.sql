CREATE SCHEMA s;
SET search_path = s;
SET statement_timeout = '1h';
CREATE TEMP TABLE t (i int);
PREPARE q AS SELECT 1;
CREATE ROLE case_settings_role;
SET ROLE case_settings_role;
