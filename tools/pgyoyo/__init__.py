"""Pure-SQL PostgreSQL migrations with proof, driven by yoyo-migrations."""

__version__ = "0.1.0"
