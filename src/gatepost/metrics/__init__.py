"""The figures of a running server: counters from its records, gauges from its workers."""
