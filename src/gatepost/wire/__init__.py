"""Protocols without I/O: bytes in, events out.

Nothing here uses sockets, event loops, clocks or files. A test needs only bytes, and any kind of
server can drive these protocols.
"""
