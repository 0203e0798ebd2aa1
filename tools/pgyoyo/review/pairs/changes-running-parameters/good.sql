ALTER TABLE running ADD COLUMN code_2 bigint;
