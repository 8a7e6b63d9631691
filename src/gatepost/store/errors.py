"""The errors of the store."""


class StoreError(Exception):
    """The store is unavailable or refused an operation; the text has the reason."""


class KeyTypeError(StoreError):
    """The key holds another type: a text where the operation needs a number, or a token bucket."""
