ALTER TABLE audit ALTER at SET DEFAULT clock_timestamp();
