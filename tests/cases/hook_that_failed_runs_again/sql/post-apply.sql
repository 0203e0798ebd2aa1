INSERT INTO a SELECT 1 / count(*) FROM pg_class WHERE relname = 'b';
