-- Tidy.

VACUUM;
