"""Values that must not be printed.

Security: tracebacks with local variables, debuggers and logs print the `repr` of a value. That of a
secret shows nothing. Conversion to text, such as `str()`, still returns the secret.
"""

HIDDEN = "<secret>"


class Secret(str):
    """Secret text, such as a password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


class SecretBytes(bytes):
    """Secret octets, such as a private key."""

    def __repr__(self) -> str:
        return HIDDEN
