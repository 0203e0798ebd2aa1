ALTER POLICY shared ON pet RENAME TO of_friends;
