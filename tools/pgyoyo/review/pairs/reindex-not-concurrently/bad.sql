REINDEX INDEX person_age_idx;
