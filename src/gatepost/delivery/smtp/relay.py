"""Delivers to one next hop.

A delivery is one transaction on a connection of the pool. The next hop may have closed an idle
connection meanwhile. As long as no content was sent it cannot have taken the message, so the
delivery is repeated once, on a new connection. So it is if the next hop refuses MAIL on a kept
connection, because the reason may be the earlier messages. That connection is closed.

A next hop that offers PIPELINING and replies to a part of a group only has lost commands. The
delivery is repeated on a new connection with one command after the other, and pipelining is not
used with this next hop for a while. The same happens with DATA instead of BDAT if it offers
CHUNKING and refuses the command BDAT.

If the end of a message was sent and no reply came, the next hop may or may not have taken it. That
is a temporary failure: the message is sent again and may be duplicated, but it is not lost. The log
has "unknown whether the message was taken".
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.dial import dial
from gatepost.delivery.smtp.connection.downgrades import Downgrades
from gatepost.delivery.smtp.connection.forward import ForwardedClient, forwarded_client
from gatepost.delivery.smtp.connection.link import Link
from gatepost.delivery.smtp.connection.pool import ConnectionPool
from gatepost.delivery.smtp.connection.transfer import transfer
from gatepost.delivery.smtp.hop import Hop
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.model.session import Session

_LOST = errors.connection_lost("").reply

_Result = TypeVar("_Result")


class Relay:
    """Delivers to one next hop; `addresses` are the host's, if they are known from the DNS."""

    def __init__(self, hop: Hop, settings: ClientSettings, addresses: Sequence[str] = ()) -> None:
        self.hop = hop
        self.settings = settings
        self.addresses = addresses
        self._downgrades = Downgrades()
        self._pool = ConnectionPool(str(hop), settings.options, self._dial)

    @property
    def options(self) -> ClientConfig:
        """The options of the route's table `client`."""
        return self.settings.options

    @property
    def unused(self) -> bool:
        """Return whether no connection is open, and no delivery waits for one."""
        return self._pool.unused

    def deliver(self, delivery: Delivery) -> Awaitable[Failures | None]:
        """Deliver a message; see `Target.deliver`."""
        session, options = delivery.transaction.session, self.settings.options
        return self.use(session, lambda link: transfer(link, delivery, options))

    async def use(self, session: Session, work: Callable[[Link], Awaitable[_Result]]) -> _Result:
        """Do `work` on a connection, and again on a new one after a failure that may not recur."""
        client, fresh = forwarded_client(self.options.forward, session), False
        while True:
            kept = None if fresh else self._pool.take_idle(client)
            link = kept or await self._pool.acquire(client, fresh=fresh)
            reused = not link.fresh
            self._downgrades.apply(link.wire.extensions)
            link.content_sent = False
            try:
                return await work(link)
            except DeliveryError as error:
                link.spent = reused and isinstance(error, errors.MailRefusedError)
                if not self._may_repeat(link, error, reused=reused):
                    raise
            finally:
                self._pool.release(link, client)
            fresh = True

    def _may_repeat(self, link: Link, error: DeliveryError, *, reused: bool) -> bool:
        """Return whether to repeat the work. Each reason is possible once only."""
        if isinstance(error, errors.ChunkingRefusedError):
            self._downgrades.add("CHUNKING")
            return True
        if isinstance(error, errors.MailRefusedError):
            return reused
        if not isinstance(error, errors.NextHopError) or link.content_sent:
            return False
        return reused or self._has_lost_group(link, error)

    def _has_lost_group(self, link: Link, error: errors.NextHopError) -> bool:
        """Return whether the next hop has replied to a part of a group; stop pipelining.

        If it has not replied at all, only the next delivery does without pipelining.
        """
        if "PIPELINING" not in link.wire.extensions or error.reply != _LOST:
            return False
        self._downgrades.add("PIPELINING")
        return len(error.replies) > 0

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.stop()

    async def _dial(self, client: ForwardedClient | None) -> Link:
        return await dial(self.hop, self.settings, client, self.addresses)
