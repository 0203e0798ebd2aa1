"""One session: connection, lock, ledger, transactions, errors with a place."""
