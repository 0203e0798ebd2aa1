"""Reads what other migration tools keep, files and ledgers, and writes it as pairs of files."""
