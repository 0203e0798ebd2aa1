DROP POLICY shared ON pet;
