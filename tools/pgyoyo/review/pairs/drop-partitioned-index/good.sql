-- transactional: false
DROP INDEX CONCURRENTLY pet_name_idx;
