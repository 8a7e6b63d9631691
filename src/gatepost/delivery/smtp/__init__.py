"""Delivery by SMTP and LMTP: the targets `smtp:`, `smtps:`, `lmtp:` and `mx:`.

`link` is one connection, `dial` opens it, `pool` keeps the connections to one next hop. `envelope`
has the commands for a delivery, `transfer` sends one message, `relay` delivers to one next hop.
"""
