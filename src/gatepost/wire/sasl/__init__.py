"""SASL mechanisms, server side: responses in, challenges out. PLAIN, LOGIN, SCRAM-SHA-256.

Responses and challenges are octets; SMTP adds base64.
"""
