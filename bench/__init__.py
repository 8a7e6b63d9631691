"""Measure gatepost beside other receivers: ``python -m bench --help``."""
