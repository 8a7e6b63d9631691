"""Traps: recipients that cause a message to be refused. Pure: no I/O, clock or event loop."""
