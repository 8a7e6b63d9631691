"""The queue: takes due messages from the spool and delivers them, repeatedly if necessary.

Theory of operation
-------------------
`queue` stores a message in the spool, which makes the 250 reply true. From there it goes one way:

1. accepted: `disposition` returns the messages to store, `runner` stores them in a spool file
2. offered: `runner` starts a job (one message for one destination) when `throttle` permits it.
   Other jobs wait in memory (`ready`) or in the spool
3. attempted: `delivery_attempt` delivers it to the targets of its recipients' routes
4. recorded: `disposition` decides about each recipient (delivered, deferred, bounced, held), and
   `spool_access` writes that to the spool

The spool is updated only after the attempt. A crash between the target's success and the commit of
the spool delivers a message twice; no crash loses one.

`throttle` also suspends a destination that does not answer, and then probes it with one message.
`dsn` reports to senders that may get delivery status notifications. `recovery` restores the
messages of damaged spool files.
"""
