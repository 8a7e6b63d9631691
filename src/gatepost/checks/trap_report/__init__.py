"""The report of what traps stopped that no other rule did, and what they cost: from the ledger."""
