"""The processes of `gatepost serve`: the supervisor and its workers."""
