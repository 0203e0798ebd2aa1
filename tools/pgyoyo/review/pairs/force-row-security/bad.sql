CREATE POLICY everybody ON pet USING (true);
ALTER TABLE pet ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- also: lock-held-to-the-end
