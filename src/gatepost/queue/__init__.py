"""The queue: takes what is due out of the spool and delivers it, again and again if need be.

Theory of operation
-------------------
A message is put into the spool (`queue`), and with that the sender's 250 is true. A `runner` for
each spool file takes due work, one message for one destination at a time, and hands it to the
target that its route names. What a delivery has come to is the `clerk`'s to judge: done, later,
given up, held. Only then the spool is told. So a crash between the target's yes and the spool's
commit delivers a message twice, and none delivers it not at all.

The `gate` knows what is on its way to which destination, and which of them is dead: that is left
alone for a while and then probed with one message. `notice` writes to senders that may be told.
"""
