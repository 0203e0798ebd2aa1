DROP INDEX visit_day_idx;
