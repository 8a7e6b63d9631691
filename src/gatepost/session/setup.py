"""What a session goes by: everything the configuration says, ready for use.

Made once per worker by `gatepost.session.assemble`; lists in it change under it as their files do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from gatepost.auth.authority import Authority
from gatepost.config.schema import LimitsConfig
from gatepost.delivery.routes import Router
from gatepost.lists.addresses import ListSource
from gatepost.model.reply import Reply
from gatepost.plugin.clock import Clock
from gatepost.plugin.host import PluginHost
from gatepost.queue.queue import Queue
from gatepost.traps.table import TrapTable

# RFC 3207: offered in the clear only, and only where a listener has certificates.
STARTTLS = "STARTTLS"
# RFC 3461: offered to those who may be told, see `gatepost.session.dsn`.
DSN = "DSN"


class TrapRule(msgspec.Struct, frozen=True, eq=False):
    """What a trap among the recipients leads to: `delay` in seconds before `reply`."""

    table: TrapTable
    action: Literal["refuse", "shadow"]
    delay: float
    reply: Reply


class Setup(msgspec.Struct, eq=False):
    """All a session has to know.

    `known` is empty where every address of a domain exists, `confirms` true where the next hop of
    some route can be asked for a recipient; `authority` knows the users, None where no listener has
    AUTH; `offers` are the replies to EHLO, by the keywords that not everybody is
    offered; `spool` is the queue, None where there is no disk to keep it on; `full`
    says that the messages that are coming in are as much as there is room for.
    """

    hostname: str
    limits: LimitsConfig
    domains: Sequence[Any]
    known: Sequence[ListSource]
    subaddress: str
    traps: TrapRule
    plugins: PluginHost
    router: Router
    confirms: bool
    clock: Clock
    log: Any
    folder: Path | None
    greetings: Mapping[str, Reply]
    keywords: tuple[str, ...]
    helo: Reply
    offers: Mapping[tuple[str, ...], Reply]
    spool: Queue | None = None
    full: bool = False
    authority: Authority | None = None

    def is_local(self, key: str) -> bool:
        """Whether the domain, by its key, is one of ours."""
        for source in self.domains:  # noqa: SIM110 - any() costs as much as all the rest of RCPT
            if key in source.current:
                return True
        return False

    def exists(self, key: str, user_key: str) -> bool:
        """Whether a mailbox exists, by its canonical address with and without subaddress."""
        return not self.known or any(
            source.current.find(key, user_key) is not None for source in self.known
        )


def greetings(hostname: str) -> dict[str, Reply]:
    """Return the greeting of each protocol: RFC 5321 section 4.3.1, RFC 2033 section 4.1."""
    return {
        "smtp": Reply(220, f"{hostname} ESMTP Gatepost"),
        "lmtp": Reply(220, f"{hostname} LMTP Gatepost"),
    }


def keywords(limits: LimitsConfig) -> tuple[str, ...]:
    """Return the EHLO keywords: RFC 2920, 1870, 6152, 6531, 3030, 2034, 9422."""
    return (
        "PIPELINING",
        f"SIZE {limits.message_size}",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "ENHANCEDSTATUSCODES",
        f"LIMITS MAILMAX={limits.transactions} RCPTMAX={limits.recipients}",
    )


def offers(hostname: str, words: tuple[str, ...]) -> dict[tuple[str, ...], Reply]:
    """Return the reply to EHLO for each choice of what not everybody is offered."""
    choices = ((), (DSN,), (STARTTLS,), (DSN, STARTTLS))
    return {more: Reply(250, "\n".join((hostname, *words, *more))) for more in choices}
