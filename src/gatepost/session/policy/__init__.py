"""Answers to the policy requests of a mail server."""
