"""The trap rules in a session: what a hit causes, from RCPT to the end of the message."""
