"""The permissions of one client, by its listener and address: XCLIENT, AUTH, bare LF, relaying."""

from gatepost.auth.authority import Authority
from gatepost.model.additions import NO_ADDITIONS
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import Session
from gatepost.net.networks import Networks, is_within
from gatepost.server.client_identity import ClientIdentity
from gatepost.server.connections import Connections, Member
from gatepost.server.listener import ListenerSettings
from gatepost.session.steps.authentication import Authentication
from gatepost.wire.smtp import SmtpServer

_AUTH = frozenset({"AUTH"})
_XCLIENT = frozenset({"XCLIENT"})


class XclientAdmission:
    """Implements `gatepost.session.conversation.Admission`; `networks` may send XCLIENT."""

    def __init__(
        self, member: Member, wire: SmtpServer, networks: Networks, shared: Connections
    ) -> None:
        self._member = member
        self._wire = wire
        self._networks = networks
        self._shared = shared

    def trust(self, *, trusted: bool) -> None:
        """Let the client send XCLIENT, or no longer."""
        wire = self._wire
        self._member.talk.admission = self if trusted else None
        wire.extensions = wire.extensions | _XCLIENT if trusted else wire.extensions - _XCLIENT

    def readmit(self, session: Session, address: str | None) -> Reply | None:
        """Count the connection as another client's; return the refusal if over a limit."""
        self._wire.agreed.bare_lf = is_within(address or "", self._shared.bare_lf_from)
        set_fact(session, "in_relay_network", is_within(address or "", self._shared.relay_networks))
        if address is not None:
            self.trust(trusted=is_within(address, self._networks))
        return self._shared.readmit(self._member, session.peer)


def set_permissions(
    member: Member,
    wire: SmtpServer,
    listener: ListenerSettings,
    identity: ClientIdentity,
    shared: Connections,
) -> None:
    """Set what the client may send; refusals of the wire are recorded by its session."""
    if shared.bare_lf_from:
        wire.agreed.bare_lf = identity.is_within(shared.bare_lf_from)
    additions = shared.setup.plugins.additions
    if additions is not NO_ADDITIONS:
        wire.agreed.additions = additions
    relay_networks = shared.relay_networks
    if relay_networks:
        set_fact(member.talk.session, "in_relay_network", identity.is_within(relay_networks))
    wire.refuse = member.talk.refuse
    if identity.xclient_from:
        admission = XclientAdmission(member, wire, identity.xclient_from, shared)
        admission.trust(trusted=identity.may_name)
    if listener.authority is not None:
        _accept_logins(member, wire, listener.authority, shared)
        member.talk.completes = listener.completes


def _accept_logins(
    member: Member, wire: SmtpServer, authority: Authority, shared: Connections
) -> None:
    """Let the client log in, after STARTTLS if it must be."""
    member.talk.auth = Authentication(authority, shared.auth_limiter)
    if authority.clear:
        wire.extensions |= _AUTH
    else:
        wire.agreed.after_tls = _AUTH
