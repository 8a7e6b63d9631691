"""Commands and their replies: rules, traps, plugins, transactions.

No sockets here: events in, replies out, the same for every protocol that carries mail.
"""
