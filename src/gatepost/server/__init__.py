"""Sockets, workers and time: what carries bytes between clients and sessions."""
