"""XCLIENT on one connection: which clients may send it, and the count of those it names."""

from collections.abc import Callable

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Session
from gatepost.net.networks import Networks, is_within
from gatepost.session.conversation import Conversation
from gatepost.wire.smtp import SmtpServer

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
