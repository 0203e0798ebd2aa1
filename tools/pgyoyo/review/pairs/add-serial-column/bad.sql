ALTER TABLE audit ADD COLUMN id bigserial;

-- also: result-type-changes
