-- transactional: false
INSERT INTO a VALUES (1);
VACUUM a;
