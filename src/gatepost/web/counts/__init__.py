"""The counts of users who see some domains only: made in the background, completed by a request."""
