"""The steps of a session: how each command is decided, and its effect."""
