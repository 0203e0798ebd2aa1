-- Create cj_batch_states: how far the comparison workflow has come with each batch.
--
-- One row for each upload at most, with the upload's id as its key, deleted with it. The service finds batches that timed out
-- by last_activity_at, so the server sets it, on every INSERT and UPDATE by anyone: what a client sends for it does not stick.
--
-- depends: 0002_create_cj_batch_uploads

CREATE TABLE cj_batch_states (
    batch_id integer PRIMARY KEY REFERENCES cj_batch_uploads (id) ON DELETE CASCADE,
    state cj_batch_state_enum NOT NULL DEFAULT 'INITIALIZING',
    total_comparisons integer NOT NULL DEFAULT 0,
    submitted_comparisons integer NOT NULL DEFAULT 0,
    completed_comparisons integer NOT NULL DEFAULT 0,
    failed_comparisons integer NOT NULL DEFAULT 0,
    last_activity_at timestamp with time zone NOT NULL DEFAULT now(),
    partial_scoring_triggered boolean NOT NULL DEFAULT false,
    completion_threshold_pct integer NOT NULL DEFAULT 95,
    current_iteration integer NOT NULL DEFAULT 1,
    processing_metadata json
);

COMMENT ON TABLE cj_batch_states IS
    'Progress of each batch: pairs of essays go to an LLM, callbacks return, scores are computed (Bradley-Terry)';
COMMENT ON COLUMN cj_batch_states.batch_id IS
    'The batch in cj_batch_uploads; its row here is deleted with it';
COMMENT ON COLUMN cj_batch_states.total_comparisons IS
    'Comparisons to be made in all';
COMMENT ON COLUMN cj_batch_states.submitted_comparisons IS
    'Comparisons sent to the LLM';
COMMENT ON COLUMN cj_batch_states.completed_comparisons IS
    'Comparisons that came back with a result';
COMMENT ON COLUMN cj_batch_states.failed_comparisons IS
    'Comparisons that were tried and failed';
COMMENT ON COLUMN cj_batch_states.last_activity_at IS
    'Last sign of life, set by the server; a batch whose last one is too long ago has timed out';
COMMENT ON COLUMN cj_batch_states.partial_scoring_triggered IS
    'Whether scoring was started before all comparisons were in; keeps it from starting twice';
COMMENT ON COLUMN cj_batch_states.completion_threshold_pct IS
    'Percentage of comparisons that is enough to start scoring without the rest';
COMMENT ON COLUMN cj_batch_states.current_iteration IS
    'Number of the round of comparisons that the batch is in';
COMMENT ON COLUMN cj_batch_states.processing_metadata IS
    'What the service notes about its own work; json, not jsonb: the text is kept as it was sent';

CREATE INDEX ix_cj_batch_states_state ON cj_batch_states (state);

CREATE FUNCTION cj_batch_states_set_last_activity_at() RETURNS trigger
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

CREATE TRIGGER cj_batch_states_set_last_activity_at
    BEFORE INSERT OR UPDATE ON cj_batch_states
    FOR EACH ROW EXECUTE FUNCTION cj_batch_states_set_last_activity_at();
