"""The milter protocol on a connection of a mail server: its wire, its handler, its sessions.

The client of a session is the one that the mail server reports, and the mail server is `via`. The
connection limits of an address do not apply: the mail server has its own.
"""

from gatepost.model.facts import set_fact
from gatepost.model.session import Session
from gatepost.net.networks import is_within
from gatepost.server.client_identity import ClientIdentity, new_session
from gatepost.server.connections import Connections
from gatepost.server.listener import ListenerSettings
from gatepost.session.milter import MilterHandler, needs
from gatepost.session.mta_handler import MtaHandler, Traffic
from gatepost.wire.milter import MilterServer
from gatepost.wire.milter.events import Client
from gatepost.wire.protocol import MtaWire


def speak_milter(
    shared: Connections, listener: ListenerSettings, mta: ClientIdentity, traffic: Traffic
) -> tuple[MtaWire, MtaHandler]:
    """Return the wire and the handler of a connection from the mail server `mta`."""
    setup = shared.setup
    wire = MilterServer(setup.limits.message_size, needs(setup))

    def begin(client: Client) -> Session:
        identity = ClientIdentity(client.peer, mta.local, via=mta.peer)
        session = _session(shared, listener, identity)
        networks = shared.relay_networks
        set_fact(session, "in_relay_network", is_within(client.peer.host, networks))
        return session

    first = _session(shared, listener, mta)
    return wire, MilterHandler(setup, first, begin, shared.run_to_end, traffic)


def _session(shared: Connections, listener: ListenerSettings, identity: ClientIdentity) -> Session:
    return new_session(
        shared.next_id(),
        identity,
        shared.setup.clock.time(),
        listener.dialect.name,
        listener.name,
    )
