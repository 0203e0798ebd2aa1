CREATE SCHEMA app;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app', current_database()); END $$;
-- ALTER DATABASE stands here in the text
CREATE ROLE case_search_path; DROP ROLE case_search_path;
