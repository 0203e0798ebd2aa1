-- transactional: false
REINDEX INDEX CONCURRENTLY person_age_idx;
