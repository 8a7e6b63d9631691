"""Delivery status notifications (RFC 3461, 3464): who gets one, what it contains."""
