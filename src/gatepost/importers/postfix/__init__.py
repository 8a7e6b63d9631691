"""Postfix: smtpd, postscreen, cleanup, qmgr, the delivery agents, and filters next to them.

Postfix writes no line for MAIL and none for an accepted recipient. A session of smtpd, identified
by its process, has the refused recipients (`sessions`). A message, identified by its queue ID, has
the rest: its sender from qmgr, its recipients from the delivery agents (`messages`). Refused
recipients of the same sender before the queue ID belong to the message.

Limits: without the lines of the delivery agents, the recipients of accepted messages are missing.
"""
