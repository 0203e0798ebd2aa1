"""Scratch databases, at any point of the history, with sample rows."""
