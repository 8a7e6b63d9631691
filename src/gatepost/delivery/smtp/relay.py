"""The targets `smtp:`, `smtps:` and `lmtp:`: one next hop that takes the mail.

A delivery is one transaction on a connection of the pool. One that was kept there may have been
closed by the next hop meanwhile: as long as nothing of the content was sent, nothing can have been
taken, and the delivery begins anew, once, on a connection that is new.

Where the end of a message was sent and no answer came it is unknown whether the next hop has taken
it. That is temporary: the message comes again, and may then be there twice, which is better than
not at all. The log says "unknown whether the message was taken".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.dial import dial
from gatepost.delivery.smtp.hop import Hop
from gatepost.delivery.smtp.introduce import Introduced, identity
from gatepost.delivery.smtp.link import Link
from gatepost.delivery.smtp.pool import Pool
from gatepost.delivery.smtp.settings import Settings
from gatepost.delivery.smtp.transfer import transfer
from gatepost.delivery.target import Delivery, Failures
from gatepost.model.session import Session

_Result = TypeVar("_Result")


class Relay:
    """Delivers to one next hop."""

    def __init__(self, hop: Hop, settings: Settings) -> None:
        self.hop = hop
        self.hands_on = hop.scheme != "lmtp"
        self._settings = settings
        self._pool = Pool(str(hop), settings.options, self._dial)

    @property
    def options(self) -> ClientConfig:
        """How to speak to the next hop."""
        return self._settings.options

    @property
    def unused(self) -> bool:
        """Whether there is no connection, and nobody waits for one."""
        return self._pool.unused

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """Hand the message over; see `Target.deliver`."""
        session, options = delivery.transaction.session, self.options
        return await self.use(session, lambda link: transfer(link, delivery, options)) or None

    async def use(self, session: Session, work: Callable[[Link], Awaitable[_Result]]) -> _Result:
        """Do something on a connection; once more on a new one if it had been closed unnoticed."""
        client = identity(self.options.forward, session)
        link = await self._pool.acquire(client)
        kept = not link.fresh
        try:
            return await self._work(link, client, work)
        except errors.NextHopError:
            if not kept or link.begun:
                raise
        link = await self._pool.acquire(client, fresh=True)
        return await self._work(link, client, work)

    async def _work(
        self, link: Link, client: Introduced | None, work: Callable[[Link], Awaitable[_Result]]
    ) -> _Result:
        link.begun = False
        try:
            return await work(link)
        finally:
            self._pool.release(link, client)

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.stop()

    async def _dial(self, client: Introduced | None) -> Link:
        return await dial(self.hop, self._settings, client)
