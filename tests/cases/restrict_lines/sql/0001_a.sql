\restrict x9
-- A table.

CREATE TABLE a (i integer);
\unrestrict x9
