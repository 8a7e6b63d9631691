"""Traps: which recipients spoil a message. Pure: no I/O, no clock, no event loop."""
