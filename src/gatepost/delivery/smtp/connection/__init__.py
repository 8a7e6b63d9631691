"""Connections to next hops: the pool, the dialogue, the transfer of a message."""
