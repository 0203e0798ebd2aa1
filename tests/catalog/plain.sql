-- A schema as most are: every version of PostgreSQL shows it by the rows in plain.txt.

CREATE TYPE cj_batch_status AS ENUM ('pending', 'comparing', 'complete', 'failed');

CREATE TABLE cj_batch_states (
  batch_id integer PRIMARY KEY,
  status cj_batch_status NOT NULL DEFAULT 'pending',
  total_comparisons integer NOT NULL DEFAULT 0,
  completion_threshold_pct integer NOT NULL DEFAULT 95,
  metadata jsonb,
  last_activity_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT cj_batch_states_threshold_check CHECK (completion_threshold_pct BETWEEN 1 AND 100)
);
COMMENT ON TABLE cj_batch_states IS 'how far each batch is';
COMMENT ON COLUMN cj_batch_states.metadata IS 'whatever the caller sent';
CREATE INDEX ix_cj_batch_states_status ON cj_batch_states (status) WHERE status <> 'complete';

CREATE TABLE cj_processed_essays (
  els_essay_id varchar(255) PRIMARY KEY,
  batch_id integer NOT NULL REFERENCES cj_batch_states (batch_id) ON DELETE CASCADE,
  content_hash varchar(64),
  current_bt_score double precision,
  is_anchor boolean NOT NULL DEFAULT false
);

CREATE TABLE cj_comparison_pairs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batch_id integer NOT NULL REFERENCES cj_batch_states (batch_id) ON DELETE CASCADE,
  essay_a_els_id varchar(255) NOT NULL REFERENCES cj_processed_essays (els_essay_id),
  essay_b_els_id varchar(255) NOT NULL REFERENCES cj_processed_essays (els_essay_id),
  winner varchar(20),
  confidence numeric(3, 2),
  CONSTRAINT uq_cj_comparison_pairs UNIQUE (batch_id, essay_a_els_id, essay_b_els_id),
  CONSTRAINT cj_comparison_pairs_check CHECK (essay_a_els_id <> essay_b_els_id)
);
CREATE INDEX ix_cj_comparison_pairs_batch_id ON cj_comparison_pairs (batch_id);

CREATE TABLE legacy_event_outbox (id serial PRIMARY KEY, topic text NOT NULL, payload json, created_at timestamp);

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.last_activity_at := now();
  RETURN NEW;
END
$$;
CREATE TRIGGER cj_batch_states_touch BEFORE UPDATE ON cj_batch_states FOR EACH ROW EXECUTE FUNCTION touch();
GRANT SELECT ON cj_batch_states TO pg_read_all_data;
