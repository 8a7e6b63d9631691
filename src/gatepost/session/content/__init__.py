"""The header block of a message: collected, counted, extended."""
