-- Written by pgyoyo schema: the schema after all migrations. Change it with a new migration, never here.
-- For an empty database: psql --set ON_ERROR_STOP=1 --file schema.sql

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET search_path = '';
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET default_tablespace = '';
SET default_table_access_method = heap;

-- Types

CREATE TYPE public.cj_batch_state_enum AS ENUM (
    'INITIALIZING',
    'GENERATING_PAIRS',
    'WAITING_CALLBACKS',
    'SCORING',
    'COMPLETED',
    'FAILED',
    'CANCELLED'
);

COMMENT ON TYPE public.cj_batch_state_enum IS 'Step of the comparison workflow that a batch is in; the last three are its ends';

CREATE TYPE public.cj_batch_status_enum AS ENUM (
    'PENDING',
    'FETCHING_CONTENT',
    'PERFORMING_COMPARISONS',
    'COMPLETE_STABLE',
    'COMPLETE_MAX_COMPARISONS',
    'COMPLETE_INSUFFICIENT_ESSAYS',
    'ERROR_PROCESSING',
    'ERROR_ESSAY_PROCESSING'
);

COMMENT ON TYPE public.cj_batch_status_enum IS 'How far the assessment of a batch has come: waiting, under way (two), complete (three ways), or stopped by an error (two)';

-- Functions

CREATE FUNCTION public.cj_batch_states_set_last_activity_at() RETURNS trigger
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

CREATE FUNCTION public.cj_batch_uploads_set_timestamps() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
-- Names are qualified, so that no search_path of a client changes what they mean.
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        NEW.created_at := pg_catalog.now();
        NEW.updated_at := NEW.created_at;
    ELSE
        NEW.created_at := OLD.created_at;
        -- now() stands still within a transaction; this moves also when the same transaction inserted the row.
        NEW.updated_at := pg_catalog.statement_timestamp();
    END IF;
    RETURN NEW;
END
$$;

-- Tables and views

CREATE TABLE public.cj_batch_states (
    batch_id integer NOT NULL,
    state public.cj_batch_state_enum DEFAULT 'INITIALIZING'::public.cj_batch_state_enum NOT NULL,
    total_comparisons integer DEFAULT 0 NOT NULL,
    submitted_comparisons integer DEFAULT 0 NOT NULL,
    completed_comparisons integer DEFAULT 0 NOT NULL,
    failed_comparisons integer DEFAULT 0 NOT NULL,
    last_activity_at timestamp with time zone DEFAULT now() NOT NULL,
    partial_scoring_triggered boolean DEFAULT false NOT NULL,
    completion_threshold_pct integer DEFAULT 95 NOT NULL,
    current_iteration integer DEFAULT 0 NOT NULL,
    processing_metadata json,
    total_budget integer
);

COMMENT ON TABLE public.cj_batch_states IS 'Progress of each batch: pairs of essays go to an LLM, callbacks return, scores are computed (Bradley-Terry)';

COMMENT ON COLUMN public.cj_batch_states.batch_id IS 'The batch in cj_batch_uploads; its row here is deleted with it';

COMMENT ON COLUMN public.cj_batch_states.total_comparisons IS 'Comparisons to be made in all';

COMMENT ON COLUMN public.cj_batch_states.submitted_comparisons IS 'Comparisons sent to the LLM';

COMMENT ON COLUMN public.cj_batch_states.completed_comparisons IS 'Comparisons that came back with a result';

COMMENT ON COLUMN public.cj_batch_states.failed_comparisons IS 'Comparisons that were tried and failed';

COMMENT ON COLUMN public.cj_batch_states.last_activity_at IS 'Last sign of life, set by the server; a batch whose last one is too long ago has timed out';

COMMENT ON COLUMN public.cj_batch_states.partial_scoring_triggered IS 'Whether scoring was started before all comparisons were in; keeps it from starting twice';

COMMENT ON COLUMN public.cj_batch_states.completion_threshold_pct IS 'Percentage of comparisons that is enough to start scoring without the rest';

COMMENT ON COLUMN public.cj_batch_states.current_iteration IS 'Number of the round of comparisons that the batch is in';

COMMENT ON COLUMN public.cj_batch_states.processing_metadata IS 'What the service notes about its own work; json, not jsonb: the text is kept as it was sent';

COMMENT ON COLUMN public.cj_batch_states.total_budget IS 'The comparison budget as first requested, never overwritten (the clients see to that, not the server); null: not told';

CREATE TABLE public.cj_batch_uploads (
    id integer NOT NULL,
    bos_batch_id character varying(36) NOT NULL,
    event_correlation_id character varying(36) NOT NULL,
    language character varying(10) NOT NULL,
    course_code character varying(50) NOT NULL,
    expected_essay_count integer NOT NULL,
    status public.cj_batch_status_enum DEFAULT 'PENDING'::public.cj_batch_status_enum NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone DEFAULT now() NOT NULL,
    completed_at timestamp without time zone,
    processing_metadata json,
    assignment_id character varying(100),
    user_id character varying(255),
    org_id character varying(255)
);

COMMENT ON TABLE public.cj_batch_uploads IS 'Batches of essays handed in for comparative judgement; their progress is in cj_batch_states';

COMMENT ON COLUMN public.cj_batch_uploads.bos_batch_id IS 'Id of the batch in the Batch Orchestrator Service (BOS)';

COMMENT ON COLUMN public.cj_batch_uploads.event_correlation_id IS 'Ties together the log lines of the request that brought the batch';

COMMENT ON COLUMN public.cj_batch_uploads.created_at IS 'When the row was inserted: set by the server, in the time zone of the session that did it (now() without its zone)';

COMMENT ON COLUMN public.cj_batch_uploads.updated_at IS 'When the row was last inserted or updated: set by the server, in the time zone of the session that did it';

COMMENT ON COLUMN public.cj_batch_uploads.completed_at IS 'When the assessment ended, null until then: set by the client, unlike created_at and updated_at';

COMMENT ON COLUMN public.cj_batch_uploads.processing_metadata IS 'What the service notes about its own work; json, not jsonb: the text is kept as it was sent';

COMMENT ON COLUMN public.cj_batch_uploads.assignment_id IS 'Id from outside this database, hence no foreign key';

COMMENT ON COLUMN public.cj_batch_uploads.user_id IS 'Id from outside this database, hence no foreign key';

COMMENT ON COLUMN public.cj_batch_uploads.org_id IS 'Id from outside this database, hence no foreign key';

ALTER TABLE public.cj_batch_uploads ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.cj_batch_uploads_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Keys

ALTER TABLE ONLY public.cj_batch_states
    ADD CONSTRAINT cj_batch_states_pkey PRIMARY KEY (batch_id);

ALTER TABLE ONLY public.cj_batch_uploads
    ADD CONSTRAINT cj_batch_uploads_pkey PRIMARY KEY (id);

-- Indexes

CREATE INDEX ix_cj_batch_states_state ON public.cj_batch_states USING btree (state);

CREATE INDEX ix_cj_batch_uploads_bos_batch_id ON public.cj_batch_uploads USING btree (bos_batch_id);

CREATE INDEX ix_cj_batch_uploads_org_id ON public.cj_batch_uploads USING btree (org_id);

CREATE INDEX ix_cj_batch_uploads_status ON public.cj_batch_uploads USING btree (status);

CREATE INDEX ix_cj_batch_uploads_user_id ON public.cj_batch_uploads USING btree (user_id);

-- Triggers

CREATE TRIGGER cj_batch_states_set_last_activity_at BEFORE INSERT OR UPDATE ON public.cj_batch_states FOR EACH ROW EXECUTE FUNCTION public.cj_batch_states_set_last_activity_at();

CREATE TRIGGER cj_batch_uploads_set_timestamps BEFORE INSERT OR UPDATE ON public.cj_batch_uploads FOR EACH ROW EXECUTE FUNCTION public.cj_batch_uploads_set_timestamps();

-- Foreign keys

ALTER TABLE ONLY public.cj_batch_states
    ADD CONSTRAINT cj_batch_states_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.cj_batch_uploads(id) ON DELETE CASCADE;

-- Privileges
