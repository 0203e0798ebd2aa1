SELECT 1/count(*) FROM users;
