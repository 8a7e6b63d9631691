"""Metrics: counters from the records of the ledger, gauges from the workers, HTTP for both."""
