CREATE TABLE a AS SELECT current_setting('statement_timeout') AS timeout;
ALTER ROLE CURRENT_USER RESET statement_timeout;
