"""Supervisor, worker processes, sockets and privileges."""
