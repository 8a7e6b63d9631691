"""Delivery status notifications (RFC 3461, RFC 3464): the recipients of a DSN, and its content."""
