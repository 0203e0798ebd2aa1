ALTER TABLE t ADD at date;
