"""`tcp:HOST:PORT`: a server of Postfix's tcp_table protocol, such as PostSRSd 1.

The protocol has no authentication: the server must be on this machine or in a trusted network.
"""

from gatepost.tables.service import ServiceTable
from gatepost.tables.service_address import inet_service
from gatepost.tables.spec import TableSpec
from gatepost.wire.tables.tcp_table import TcpTable


class TcpServerTable(ServiceTable):
    """The table of a server."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec.name, inet_service(spec.rest), TcpTable)
