"""The vocabulary: addresses, replies, decisions, sessions, transactions, messages.

The bottom of the house: every other room may import these, they import none. Values only – no
sockets, no event loop, no clock.
"""
