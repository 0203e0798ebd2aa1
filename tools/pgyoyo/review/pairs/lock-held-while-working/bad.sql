ALTER TABLE person ADD COLUMN grown boolean;
UPDATE person SET grown = age >= 18;

-- also: update-not-batched, result-type-changes, lock-held-to-the-end
