CREATE POLICY shared ON pet USING (friend_id IS NOT NULL);
