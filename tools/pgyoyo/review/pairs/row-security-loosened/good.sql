ALTER POLICY own ON pet USING (owner_id = 1 AND friend_id IS NOT NULL);
DROP POLICY own ON pet;
CREATE POLICY mine ON pet USING (owner_id = 1);
