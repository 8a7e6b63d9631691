"""Settings that the connections of one listener share."""

from typing import NamedTuple

from gatepost.auth.authority import Authority
from gatepost.model.endpoint import Endpoint
from gatepost.net.networks import Networks
from gatepost.net.tls import ListenerTls
from gatepost.session.dialect import SMTP, Dialect


class ListenerSettings(NamedTuple):
    """The protocol, what TLS needs if the listener has it, and the users' authority if it has AUTH.

    `completes` is whether mail of authenticated clients gets a missing Date and Message-ID.
    `local` is the address that clients connect to, None if each socket must be asked.
    `accept_from` are the networks of mail servers that may ask for decisions. `name` is that of the
    configuration.
    """

    dialect: Dialect = SMTP
    tls: ListenerTls | None = None
    authority: Authority | None = None
    local: Endpoint | None = None
    completes: bool = True
    name: str = ""
    accept_from: Networks = ()
