-- Drop the two enum types of the CJ batches.

DROP TYPE cj_batch_state_enum;

DROP TYPE cj_batch_status_enum;
