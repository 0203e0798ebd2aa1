DROP INDEX person_age_idx;
