"""The syntax of SMTP: arguments, addresses, extensions and their parameters."""
