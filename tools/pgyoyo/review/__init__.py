"""The review of migrations: rehearse, observe, judge."""
