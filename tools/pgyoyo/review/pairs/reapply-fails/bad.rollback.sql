-- lossy: the toys
ALTER TABLE toy RENAME TO old_toy;
CREATE TABLE toy (id bigint);
