"""The data types: addresses, replies, decisions, sessions, transactions, messages.

Every other package may import these; they import none. They use no sockets, no event loop and no
clock. A `Message` owns a temporary file; all others are plain values.
"""
