"""SASL mechanisms, the server's side, as bytes in, challenges out: PLAIN, LOGIN, SCRAM-SHA-256.

What base64 stands for here is already decoded; nothing here knows of SMTP.
"""
