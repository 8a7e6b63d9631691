"""`dovecot:unix:PATH`: the users of a Dovecot, by its socket auth-userdb.

The value of a key is the name of the user. A key that begins with `@` is not found: Dovecot has no
users of a whole domain, and some of its user databases would return one for any name.

Security: the socket also returns the fields of users, such as their folders.
"""

from collections.abc import Sequence
from typing import Final

from gatepost.tables.service import ServiceTable
from gatepost.tables.service_address import unix_service
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found
from gatepost.wire.tables.dovecot import DovecotUsers

# The service that Dovecot's user databases see as `%s`: that of mail that is received.
SERVICE: Final = "lmtp"


class DovecotTable(ServiceTable):
    """The users of a Dovecot."""

    def __init__(self, spec: TableSpec) -> None:
        kind, _, path = spec.rest.partition(":")
        if kind != "unix":
            raise ValueError('expected "dovecot:unix:PATH"')
        address = unix_service(path, spec.base)
        super().__init__(spec.name, address, lambda: DovecotUsers(SERVICE))

    async def _look_up(self, keys: Sequence[str]) -> Found:
        return await super()._look_up([key for key in keys if not key.startswith("@")])
