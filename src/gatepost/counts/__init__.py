"""Counters that all workers of a server share, in memory of a fixed size.

`memory` is the shared memory and its slots, `sketch` the cells of a key, `counters` the counters.
The package has no dependency on connections, clocks or the configuration.
"""
