SET LOCAL session_replication_role = replica;
INSERT INTO pet VALUES (1, 1);
ALTER TABLE pet DISABLE TRIGGER ALL;
