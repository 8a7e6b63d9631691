"""`socketmap:unix:PATH:MAP` and `socketmap:inet:HOST:PORT:MAP`: a map of a socketmap server.

A temporary or permanent error of the server is an error of the table. The protocol has no
authentication: the server must be on this machine or in a trusted network.
"""

from pathlib import Path

from gatepost.tables.service import ServiceTable
from gatepost.tables.service_address import ServiceAddress, inet_service, unix_service
from gatepost.tables.spec import TableSpec
from gatepost.wire.tables.socketmap import Socketmap


class SocketmapTable(ServiceTable):
    """A map of a socketmap server."""

    def __init__(self, spec: TableSpec) -> None:
        where, _, name = spec.rest.rpartition(":")
        if not name or " " in name:
            raise ValueError("expected the name of a map, without blanks, at the end")
        super().__init__(spec.name, _address(where, spec.base), lambda: Socketmap(name))


def _address(where: str, base: Path) -> ServiceAddress:
    kind, _, rest = where.partition(":")
    if kind == "unix":
        return unix_service(rest, base)
    if kind == "inet":
        return inet_service(rest)
    raise ValueError('expected "unix:PATH:MAP" or "inet:HOST:PORT:MAP"')
