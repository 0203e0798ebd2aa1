-- Drop cj_batch_uploads, its indexes and its trigger with it, and the trigger's function.
--
-- lossy: every row of cj_batch_uploads is gone

DROP TABLE cj_batch_uploads;

DROP FUNCTION cj_batch_uploads_set_timestamps();
