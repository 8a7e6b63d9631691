"""The errors of DNS lookups."""


class ResolveError(Exception):
    """The lookup failed; it may succeed later."""


class NoSuchNameError(Exception):
    """The name does not exist (NXDOMAIN)."""
