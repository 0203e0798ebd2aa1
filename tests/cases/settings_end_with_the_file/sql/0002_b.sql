CREATE TABLE a AS SELECT current_user::text = session_user::text AS me, current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout, to_regclass('t')::text AS temp;
DROP ROLE case_settings_role;
