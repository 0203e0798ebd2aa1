"""Pure-SQL PostgreSQL migrations with proof, driven by yoyo-migrations."""
