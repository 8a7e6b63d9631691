"""Live streams: what is read once for all viewers, and the streams of server-sent events."""
