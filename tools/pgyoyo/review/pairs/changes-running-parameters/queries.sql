DELETE FROM running WHERE code = $1;
