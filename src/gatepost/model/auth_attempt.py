"""One attempt of a client to say who it is, as plugins are shown it.

Security: it carries a password, so it is no struct that an encoder would write out: only its fields
have it, neither `repr` nor `str` nor a log that is handed the whole of it.
"""


class AuthAttempt:
    """Who the client says it is, and how it would prove it.

    `mechanism` is the SASL name, `user` the user name as it is compared: in lower case, normalised.
    With PLAIN and LOGIN `password` is what the client gave. With SCRAM-SHA-256 it is None, because
    the server never sees it, and `proven` says whether the client has shown that it knows it.
    `authzid` is the user it wants to act as ("" for itself).
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
        self.password = password
        self.authzid = authzid
        self.proven = proven

    def __repr__(self) -> str:
        return f"<AuthAttempt {self.mechanism} {self.user!r}>"
