-- Nothing to undo: the rows keep the total_budget they were given.
--
-- Which rows had none is not recorded, and a client that doesn't know total_budget does not mind it.
--
-- lossy: the rows keep the total_budget they were given

SELECT 'nothing to undo: the rows of cj_batch_states keep the total_budget they were given' AS note;
