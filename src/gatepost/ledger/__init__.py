"""The ledger: what happened to each connection and message, and why."""
