-- Put the trigger function of 0003 back, let current_iteration begin at 1 again, and drop total_budget.
--
-- The function goes first: it must not name a column that is gone.
--
-- lossy: every total_budget is gone; applying 0005 again gives all rows their total_comparisons of that day instead

CREATE OR REPLACE FUNCTION cj_batch_states_set_last_activity_at() RETURNS trigger
    LANGUAGE plpgsql
AS $$
-- Names are qualified, so that no search_path of a client changes what they mean.
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        NEW.last_activity_at := pg_catalog.now();
    ELSE
        -- now() stands still within a transaction; this moves also when the same transaction inserted the row.
        NEW.last_activity_at := pg_catalog.statement_timestamp();
    END IF;
    RETURN NEW;
END
$$;

ALTER TABLE cj_batch_states
    ALTER COLUMN current_iteration SET DEFAULT 1,
    DROP COLUMN total_budget;
