-- review: allow change-column-type: the table is small
ALTER TABLE person ALTER COLUMN age TYPE bigint;
