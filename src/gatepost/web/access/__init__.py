"""Access to the dashboard: users, logins, sessions, tokens of forms."""
