-- Give batches from before total_budget the budget they asked for.
--
-- Changes total_budget and nothing else: the trigger on cj_batch_states knows this very UPDATE (see 0004) and leaves
-- last_activity_at as it was. Safe to run again: it touches only rows that have no total_budget.
--
-- depends: 0004_add_total_budget
-- backfill: batched

UPDATE cj_batch_states SET total_budget = total_comparisons WHERE total_budget IS NULL;
