"""Counters that all workers of a machine share, in memory of a fixed size.

`board` is the memory and who has which part of it, `tally` the counters in it, `places` where a key
is counted. Knows nothing of connections, clocks or configurations.
"""
