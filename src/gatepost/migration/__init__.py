"""Configurations of other mail servers, made into one for Gatepost.

`qpsmtpd` and `haraka` read the folder of a server (`source`) and fill a `draft`: the keys of
`gatepost.toml`, the lists, and a finding for each thing that was taken over, is different here or
was left out. `folder` writes a draft, whole or not at all.

Trusts nothing in the folder: wrong lines become findings, and no text of it gets into the new
configuration unless it was parsed. Passwords are neither copied nor shown.
"""
