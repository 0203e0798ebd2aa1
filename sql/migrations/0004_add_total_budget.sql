-- Add total_budget to cj_batch_states, and let current_iteration begin at 0.
--
-- total_budget is nullable because older clients don't send it. Rows from before get theirs in 0005, a file of its own: the
-- ALTER shuts out every reader until its transaction ends, and must not wait for rows to be written.
-- That filling must not look like activity of the batch. So the trigger now lets one kind of UPDATE pass without touching
-- last_activity_at: one that gives a row without a total_budget its total_comparisons as such, and changes nothing else.
-- Any other UPDATE is activity, as before.
--
-- depends: 0003_create_cj_batch_states

ALTER TABLE cj_batch_states
    ADD COLUMN total_budget integer,
    ALTER COLUMN current_iteration SET DEFAULT 0;

COMMENT ON COLUMN cj_batch_states.total_budget IS
    'The comparison budget as first requested, never overwritten (the clients see to that, not the server); null: not told';

CREATE OR REPLACE FUNCTION cj_batch_states_set_last_activity_at() RETURNS trigger
    LANGUAGE plpgsql
AS $$
-- Names are qualified, so that no search_path of a client changes what they mean.
DECLARE
    rest record;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        NEW.last_activity_at := pg_catalog.now();
        RETURN NEW;
    END IF;

    -- Nearly every UPDATE is done with this test, so the rest of the row is seldom compared.
    IF OLD.total_budget IS NULL AND NEW.total_budget OPERATOR(pg_catalog.=) NEW.total_comparisons THEN
        -- A copy: comparing NEW itself would fetch a long json into it, to be stored once more.
        rest := NEW;
        rest.total_budget := NULL;
        -- *= compares the values of all columns byte by byte, nulls too, and json, which has no = of its own.
        IF rest OPERATOR(pg_catalog.*=) OLD THEN
            RETURN NEW;
        END IF;
    END IF;

    -- now() stands still within a transaction; this moves also when the same transaction inserted the row.
    NEW.last_activity_at := pg_catalog.statement_timestamp();
    RETURN NEW;
END
$$;
