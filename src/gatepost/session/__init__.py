"""Sessions: rules, traps, plugins and transactions between a command and its reply.

No sockets here: events in, replies out, the same for every protocol that carries mail.
"""
