"""A backfill: UPDATE, DELETE and INSERT … SELECT as many short transactions."""
