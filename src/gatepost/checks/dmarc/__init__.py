"""What the ledger has about DMARC: a table for people, and aggregate reports for domains."""
