"""schema.sql, schema.md, and verify."""
