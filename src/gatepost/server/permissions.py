"""The permissions of one client, by its listener and its address: XCLIENT, AUTH, bare LF."""

import functools

from gatepost.auth.authority import Authority
from gatepost.server.client_identity import ClientIdentity
from gatepost.server.connections import Connections, Member
from gatepost.server.listener import ListenerSettings
from gatepost.server.xclient import XclientAdmission
from gatepost.session.steps.authentication import Authentication
from gatepost.wire.smtp import SmtpServer

_AUTH = frozenset({"AUTH"})


def set_permissions(
    member: Member,
    wire: SmtpServer,
    listener: ListenerSettings,
    identity: ClientIdentity,
    shared: Connections,
) -> None:
    """Set what the client may send; refusals of the wire are recorded by its session."""
    wire.agreed.bare_lf = identity.is_within(shared.bare_lf_from)
    wire.refuse = member.talk.refuse
    if identity.xclient_from:
        count = functools.partial(shared.readmit, member)
        networks, bare_lf_from = identity.xclient_from, shared.bare_lf_from
        admission = XclientAdmission(member.talk, wire, networks, bare_lf_from, count)
        admission.trust(trusted=identity.may_name)
    if listener.authority is not None:
        _accept_logins(member, wire, listener.authority, shared)


def _accept_logins(
    member: Member, wire: SmtpServer, authority: Authority, shared: Connections
) -> None:
    """Let the client log in, after STARTTLS if it must be."""
    member.talk.auth = Authentication(authority, shared.auth_limiter)
    if authority.clear:
        wire.extensions |= _AUTH
    else:
        wire.agreed.after_tls = _AUTH
