"""Handing mail on by SMTP and LMTP: the targets `smtp:`, `smtps:`, `lmtp:` and `mx:`.

`link` is one connection, `dial` opens it, `pool` keeps those to one next hop; `envelope` says what
can be asked of it, `transfer` makes one message of a delivery, `relay` is the target.
"""
