-- Drop cj_batch_states, its index and its trigger with it, and the trigger's function.
--
-- lossy: every row of cj_batch_states is gone

DROP TABLE cj_batch_states;

DROP FUNCTION cj_batch_states_set_last_activity_at();
