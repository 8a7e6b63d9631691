"""The content of an Authentication-Results field as values: RFC 8601 section 2.2."""

from gatepost.model.structs import Frozen


class MethodResult(Frozen, frozen=True):
    """The result of one method, such as spf=pass.

    `method` and `result` are keywords in lower case. `properties` are pairs of a name and a value,
    such as ("smtp.mailfrom", "a@example.com"), in the order of the field. `version` is that of the
    method.
    """

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    version: int = 1

    def get(self, name: str) -> str | None:
        """Return the value of the first property of a name, None if there is none."""
        return next((value for found, value in self.properties if found == name), None)


class AuthenticationResults(Frozen, frozen=True):
    """A field: the id of the server that made it, and its results; none for `none`."""

    authserv_id: str
    methods: tuple[MethodResult, ...] = ()
    version: int = 1
