"""Whether Postfix asks this server, and at the right places."""
