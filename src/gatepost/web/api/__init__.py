"""The HTTP API: what the pages show, for programs."""
