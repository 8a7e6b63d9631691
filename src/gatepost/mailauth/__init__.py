"""Mail authentication: SPF, DKIM, ARC, DMARC, Authentication-Results.

The checks are generators that ask the DNS (`gatepost.net.questions`). They open no socket, read no
clock and need no server, so a program can use them alone.
"""
