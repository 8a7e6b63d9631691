"""Delivery to Maildirs, with Maildir++ quotas."""
