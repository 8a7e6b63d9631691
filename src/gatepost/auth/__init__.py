"""Client authentication: users and passwords, the limit on attempts, and password checks."""
