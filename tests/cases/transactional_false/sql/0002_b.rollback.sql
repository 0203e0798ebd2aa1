-- transactional: false
DROP INDEX CONCURRENTLY a_i2_idx;
DROP INDEX CONCURRENTLY a_i_idx;
