"""Mistakes in plugins: mypy must report exactly the errors that the comments name.

pyright must report an error in exactly the same lines.
"""

from gatepost import Decision, Duration, Plugin, Recipient, Session, Transaction, deny


class WrongHooks(Plugin):
    class Options(Plugin.Options):
        day: int = 0
        wait: Duration = "5m"  # E: assignment

    def on_rcpt(self, rcpt: Recipient) -> Decision | None:  # E: override
        return None

    def on_mail(self, tx: Transaction, sender: str) -> Decision | None:  # E: override
        return None

    def on_data(self, tx: Transaction) -> bool:  # E: override
        return True

    async def on_message(self, tx: Transaction) -> str:  # E: override
        return "550 no"

    def on_deliver(self, tx: Transaction) -> Decision | None:
        if tx.received_at.weekday() == self.options.dya:  # E: attr-defined
            self.options.day = "Monday"  # E: assignment
        return tx.message.size  # E: return-value # E: union-attr

    def on_lookup(self, tx: Transaction, rcpt: Recipient) -> None:
        self.log.info("day", day=self.options_for(rcpt.domain).dya)  # E: attr-defined
        self.options_for(tx)  # E: arg-type

    def after_rcpt(self, tx: Transaction, rcpt: Recipient) -> None:  # E: override
        pass

    def observe_helo(self, session: Session, name: str) -> Decision | None:  # E: override
        return None

    def on_help(self, session: Session, text: str) -> Decision | None:
        if text in self.options.wait:  # E: operator
            return self.resolver.a("a.example")  # E: return-value
        return None

    def start(self) -> int:  # E: override
        return 0


class WrongServices(Plugin):
    def start(self) -> None:
        self.every("5m", self.expire())  # E: arg-type
        self.background(self.expire)  # E: arg-type
        self.server.worker = 1  # E: misc
        self.metrics.counter("hits", reason=1)  # E: arg-type
        self.metrics.counter("hits").dec()  # E: attr-defined

    async def expire(self) -> None:
        self.store.delete("key")  # E: unused-coroutine
        await self.store.incr("key", ttl="1h")  # E: arg-type

    def on_data(self, tx: Transaction) -> Decision | None:
        return deny  # E: return-value

    async def on_message(self, tx: Transaction) -> Decision | None:
        if bytes(tx.message):  # E: arg-type
            return deny(code="550")  # E: arg-type
        return None
