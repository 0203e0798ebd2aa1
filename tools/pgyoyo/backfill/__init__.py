"""A backfill: one UPDATE as many short transactions."""
