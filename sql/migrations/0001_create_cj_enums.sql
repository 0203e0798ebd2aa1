-- Create the two enum types of the comparative judgement (CJ) batches.
--
-- The labels are the words that the service's models send, in the models' order, and the order is what < and ORDER BY go by.

CREATE TYPE cj_batch_status_enum AS ENUM (
    'PENDING',
    'FETCHING_CONTENT',
    'PERFORMING_COMPARISONS',
    'COMPLETE_STABLE',
    'COMPLETE_MAX_COMPARISONS',
    'COMPLETE_INSUFFICIENT_ESSAYS',
    'ERROR_PROCESSING',
    'ERROR_ESSAY_PROCESSING'
);

COMMENT ON TYPE cj_batch_status_enum IS
    'How far the assessment of a batch has come: waiting, under way (two), complete (three ways), or stopped by an error (two)';

CREATE TYPE cj_batch_state_enum AS ENUM (
    'INITIALIZING',
    'GENERATING_PAIRS',
    'WAITING_CALLBACKS',
    'SCORING',
    'COMPLETED',
    'FAILED',
    'CANCELLED'
);

COMMENT ON TYPE cj_batch_state_enum IS
    'Step of the comparison workflow that a batch is in; the last three are its ends';
