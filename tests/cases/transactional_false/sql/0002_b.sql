-- Index.
-- transactional: false
CREATE INDEX CONCURRENTLY a_i_idx ON a (i);
CREATE INDEX CONCURRENTLY a_i2_idx ON a ((i + 1));
