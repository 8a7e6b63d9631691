"""Protocols without I/O: bytes in, events out.

Nothing here knows of sockets, event loops, clocks or files, so each protocol can be tested with
nothing but bytes, and driven by anything.
"""
