"""Looks at a project, its files, its servers and its database, and says what to do about what it sees; writes nothing."""
