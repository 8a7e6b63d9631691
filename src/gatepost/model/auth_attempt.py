"""An attempt of a client to authenticate, as plugins receive it.

Security: an attempt has a password. It is not a struct that an encoder could write out, and neither
`repr` nor `str` shows the password, so that it does not reach a log by accident. The password
itself is a `Secret`.
"""

from gatepost.model.secret import Secret


class AuthAttempt:
    """The identity that a client claims, and its proof.

    `mechanism` is the SASL name. `user` is the user name in lower case, normalised for comparison.
    With PLAIN and LOGIN `password` is the client's password. With SCRAM-SHA-256 it is None, because
    the server never receives it; `proven` is then true if the client has proven that it has the
    password. `authzid` is the user to act as ("" for `user`).
    """

    __slots__ = ("authzid", "mechanism", "password", "proven", "user")

    def __init__(
        self,
        mechanism: str,
        user: str,
        password: str | None = None,
        *,
        authzid: str = "",
        proven: bool = False,
    ) -> None:
        self.mechanism = mechanism
        self.user = user
        self.password = None if password is None else Secret(password)
        self.authzid = authzid
        self.proven = proven

    def __repr__(self) -> str:
        return f"<AuthAttempt {self.mechanism} {self.user!r}>"
