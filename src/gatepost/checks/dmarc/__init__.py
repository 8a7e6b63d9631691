"""Results of DMARC in the ledger: a table for people, and aggregate reports for domains."""
