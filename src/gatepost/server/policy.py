"""The policy protocol on a connection of a mail server: its wire and its handler."""

from gatepost.server.client_identity import ClientIdentity
from gatepost.server.connections import Connections
from gatepost.server.listener import ListenerSettings
from gatepost.session.mta_handler import MtaHandler, Traffic
from gatepost.session.policy.handler import PolicyHandler
from gatepost.wire.policy import PolicyWire
from gatepost.wire.protocol import MtaWire


def speak_policy(
    shared: Connections, listener: ListenerSettings, mta: ClientIdentity, _traffic: Traffic
) -> tuple[MtaWire, MtaHandler]:
    """Return the wire and the handler of a connection from the mail server `mta`."""
    return PolicyWire(), PolicyHandler(shared.setup, shared.visits, mta.peer, listener.name)
