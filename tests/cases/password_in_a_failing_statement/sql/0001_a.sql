ALTER ROLE nobody_here PASSWORD 'topsecret-in-file' nonsense;
