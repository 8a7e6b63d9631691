"""The store of several machines: a Redis or Valkey server.

`backend` executes operations, `commands` has the commands and scripts, `link` the connection.
"""
