"""A simulator of the trap rules: actors send mail to the real engine, in virtual time."""
