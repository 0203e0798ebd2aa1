"""Reading SQL text as psql and PostgreSQL do."""
