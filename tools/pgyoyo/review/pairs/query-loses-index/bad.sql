-- transactional: false
DROP INDEX CONCURRENTLY person_age_idx;
