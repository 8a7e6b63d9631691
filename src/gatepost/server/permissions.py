"""The permissions of one client, by its listener and its address: XCLIENT, AUTH, bare LF."""

import functools
from collections.abc import Callable

from gatepost.auth.authority import Authority
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Session
from gatepost.net.networks import Networks, is_within
from gatepost.server.client_identity import ClientIdentity
from gatepost.server.connections import Connections, Member
from gatepost.server.listener import ListenerSettings
from gatepost.session.conversation import Conversation
from gatepost.session.steps.authentication import Authentication
from gatepost.wire.smtp import SmtpServer

_AUTH = frozenset({"AUTH"})
_XCLIENT = frozenset({"XCLIENT"})


class XclientAdmission:
    """Implements `gatepost.session.conversation.Admission`; `count` counts a client."""

    def __init__(
        self,
        talk: Conversation,
        wire: SmtpServer,
        networks: Networks,
        bare_lf_from: Networks,
        count: Callable[[Endpoint], Reply | None],
    ) -> None:
        self._talk = talk
        self._wire = wire
        self._networks = networks
        self._bare_lf_from = bare_lf_from
        self._count = count

    def trust(self, *, trusted: bool) -> None:
        """Let the client send XCLIENT, or no longer."""
        wire = self._wire
        self._talk.admission = self if trusted else None
        wire.extensions = wire.extensions | _XCLIENT if trusted else wire.extensions - _XCLIENT

    def readmit(self, session: Session, address: str | None) -> Reply | None:
        """Count the connection as another client's; return the refusal if over a limit."""
        self._wire.agreed.bare_lf = is_within(address or "", self._bare_lf_from)
        if address is not None:
            self.trust(trusted=is_within(address, self._networks))
        return self._count(session.peer)


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
    wire.refuse = member.talk.refuse
    if identity.xclient_from:
        count = functools.partial(shared.readmit, member)
        networks, bare_lf_from = identity.xclient_from, shared.bare_lf_from
        admission = XclientAdmission(member.talk, wire, networks, bare_lf_from, count)
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
