"""The dashboard with many records: `python -m bench.dashboard`, see docs/performance.md."""
