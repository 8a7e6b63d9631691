"""Connections: sockets, limits and deadlines, between clients and sessions."""
