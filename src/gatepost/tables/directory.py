"""One connection to an LDAP directory, with ldap3. Its methods block: call them in a thread.

The connection is opened for the first search and kept. If a kept connection fails, the search is
sent once more, on a new one. The servers are tried in their order.

`abort` may be called in another thread: it ends a search that waits for the server.

Trust: ldap3 for the protocol. Answers can be anything. Referrals are not followed, and certificates
are checked. Limits: each wait for the server takes the time-out at most, and a search returns
`most` entries at most.
"""

import math
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import ldap3
import msgspec
from ldap3.core.exceptions import LDAPCommunicationError, LDAPExceptionError

from gatepost.model.secret import Secret
from gatepost.net.client_tls import ClientTls

Entry = Mapping[str, Sequence[bytes]]
SCOPES: Final = {"base": ldap3.BASE, "one": ldap3.LEVEL, "sub": ldap3.SUBTREE}
_SUCCESS: Final = 0
_TOO_MANY: Final = 4


class DirectoryError(Exception):
    """The directory cannot answer; the text is the problem."""


class DirectorySettings(msgspec.Struct, frozen=True):
    """The place of a directory, and what to search; `timeout` is in seconds."""

    urls: Sequence[str]
    base: str
    scope: Literal["base", "one", "sub"]
    bind_dn: str
    password: Secret
    start_tls: bool
    tls: ClientTls
    timeout: float


class Directory:
    """A directory."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._connection: Any = None
        self._aborted = False

    def search(self, filter_text: str, attributes: Sequence[str], most: int) -> list[Entry]:
        """Return the attributes of the entries found, by their names in lower case.

        Raises `DirectoryError`, and after `abort` any error of a connection.
        """
        kept, self._aborted = self._connection is not None, False
        try:
            return self._search(filter_text, attributes, most)
        except LDAPCommunicationError:
            if not kept or self._aborted:
                raise
        return self._search(filter_text, attributes, most)

    def _search(self, filter_text: str, attributes: Sequence[str], most: int) -> list[Entry]:
        """Search once; after any error the connection is closed."""
        try:
            return self._exchange(filter_text, attributes, most)
        except BaseException:
            self.close()
            raise

    def _exchange(self, filter_text: str, attributes: Sequence[str], most: int) -> list[Entry]:
        if self._connection is None:
            self._connect()
        _, result, response, _ = self._connection.search(
            self._settings.base,
            filter_text,
            SCOPES[self._settings.scope],
            attributes=attributes or [ldap3.NO_ATTRIBUTES],
            size_limit=most,
            time_limit=math.ceil(self._settings.timeout),
        )
        if result["result"] == _TOO_MANY:
            raise DirectoryError(f"expected at most {most} entries")
        _require_success(result)
        return [_entry(one) for one in response if one["type"] == "searchResEntry"]

    def _connect(self) -> None:
        for url in self._settings.urls[:-1]:
            with suppress(LDAPCommunicationError):
                self._open(url)
                return
            self.close()
        self._open(self._settings.urls[-1])

    def _open(self, url: str) -> None:
        settings = self._settings
        server = ldap3.Server(
            url,
            get_info=ldap3.NONE,
            connect_timeout=settings.timeout,
            tls=_Tls(settings.tls),
        )
        self._connection = ldap3.Connection(
            server,
            settings.bind_dn or None,
            settings.password or None,
            client_strategy=ldap3.SAFE_SYNC,
            auto_bind=ldap3.AUTO_BIND_NONE,
            auto_referrals=False,
            auto_escape=False,
            check_names=False,
            read_only=True,
            receive_timeout=math.ceil(settings.timeout),
        )
        self._connection.open()
        if settings.start_tls and not server.ssl:
            self._connection.start_tls(read_server_info=False)
        _require_success(self._connection.bind(read_server_info=False)[1])

    def abort(self) -> None:
        """End the search that another thread waits for, by closing the connection."""
        self._aborted = True
        opened = _socket(self._connection)
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next search opens another one."""
        connection, self._connection = self._connection, None
        opened = _socket(connection)
        if opened is not None:
            with suppress(OSError, LDAPExceptionError):
                connection.unbind()
            opened.close()  # ldap3 leaves it open after some errors


class _Tls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """TLS with a context of ours, which checks the name in the certificate."""

    def __init__(self, tls: ClientTls) -> None:
        super().__init__()
        self._ours = tls

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - ldap3's signature
        name = self._ours.peer_name(connection.server.host)
        connection.socket = self._ours.context.wrap_socket(connection.socket, server_hostname=name)


def _socket(connection: Any) -> socket.socket | None:
    opened: socket.socket | None = getattr(connection, "socket", None)
    return opened


def _require_success(result: Mapping[str, Any]) -> None:
    if result["result"] != _SUCCESS:
        text = f"{result['description']}: {result['message']}" if result["message"] else ""
        raise DirectoryError(text or str(result["description"]))


def _entry(response: Mapping[str, Any]) -> Entry:
    return {name.lower(): values for name, values in response["raw_attributes"].items()}
