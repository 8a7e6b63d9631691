"""An SMTP receiver that decides while the sender is still connected."""
