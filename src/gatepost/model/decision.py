"""Decisions: the results of `on_` methods.

`None` is no opinion. `accept()` accepts, `deny()` refuses permanently (5xx), `defer()` refuses for
now (4xx). `hold()` is no answer to the client: later plugins decide, and if the message is accepted
it is held. A decision is a value: it can be stored, compared and logged.
"""

import math
from collections.abc import Iterable
from enum import Enum

import msgspec

from gatepost.model.reply import check_codes
from gatepost.model.session import Recipient, check_reason

START_MAIL_INPUT = 354

_CLASSES = {"accept": 2, "deny": 5, "defer": 4}
_AT_DATA = ("accept", START_MAIL_INPUT)


class Verdict(Enum):
    """The four kinds of decision; logs and transcripts show the value."""

    ACCEPT = "accept"
    DENY = "deny"
    DEFER = "defer"
    HOLD = "hold"


class Decision(msgspec.Struct, frozen=True):
    """A decision about one command or message.

    `text` is the text of the reply (None: the default of the hook). `code` and `enhanced` replace
    the default codes of the hook. `reason` is a short fixed word for logs and metrics. `disconnect`
    closes the connection after the reply. `delay` is the number of seconds before the reply.
    `recipients` are those that are refused, all of them if it is empty.
    """

    verdict: Verdict
    text: str | None = None
    code: int | None = None
    enhanced: str | None = None
    reason: str = ""
    disconnect: bool = False
    delay: float = 0.0
    recipients: tuple[Recipient, ...] = ()

    @property
    def refuses(self) -> bool:
        """Return whether it is a refusal, permanent or for now."""
        return self.verdict in (Verdict.DENY, Verdict.DEFER)


def accept(
    text: str | None = None,
    *,
    code: int | None = None,
    enhanced: str | None = None,
    reason: str = "",
) -> Decision:
    """Accept; the `on_` methods of later plugins do not run. Raises ValueError like `deny`.

    `text` and the codes replace those of the usual reply. The hook defines which codes it has; a
    hook without a reply of its own, such as `headers`, has none and takes no text.
    """
    _check("accept", code, enhanced, 0.0)
    return Decision(Verdict.ACCEPT, text, code, enhanced, reason)


def deny(
    text: str | None = None,
    *,
    code: int | None = None,
    enhanced: str | None = None,
    reason: str = "",
    disconnect: bool = False,
    delay: float = 0.0,
    recipients: Iterable[Recipient] | None = None,
) -> Decision:
    """Refuse permanently, with a 5xx reply. Raises ValueError for a code of another class.

    In `on_headers` and `on_message`, `recipients` are the only ones that are refused. With LMTP the
    others get the message. SMTP has one reply for all, so the message is refused for all. Raises
    ValueError without any recipient, and with `disconnect` or `delay`.
    """
    _check("deny", code, enhanced, delay)
    refused = _only(recipients, disconnect=disconnect, delay=delay)
    return Decision(Verdict.DENY, text, code, enhanced, reason, disconnect, delay, refused)


def defer(
    text: str | None = None,
    *,
    code: int | None = None,
    enhanced: str | None = None,
    reason: str = "",
    disconnect: bool = False,
    delay: float = 0.0,
    recipients: Iterable[Recipient] | None = None,
) -> Decision:
    """Refuse for now, with a 4xx reply: the client tries again. Arguments and errors as `deny`."""
    _check("defer", code, enhanced, delay)
    refused = _only(recipients, disconnect=disconnect, delay=delay)
    return Decision(Verdict.DEFER, text, code, enhanced, reason, disconnect, delay, refused)


def hold(reason: str) -> Decision:
    """Hold the message in the queue, if no plugin and no rule refuses it.

    The client gets the same reply as for any other message. `reason` is for the administrator, who
    can release or remove the message. Before the content this is about the message that follows, at
    `on_connect`, `on_helo`, `on_ehlo` and `on_auth` about all messages of the session. If several
    plugins hold a message, the first reason stays. Raises ValueError unless `reason` is one line.
    """
    check_reason(reason)
    return Decision(Verdict.HOLD, reason=reason)


def _only(
    recipients: Iterable[Recipient] | None, *, disconnect: bool, delay: float
) -> tuple[Recipient, ...]:
    """Return the recipients that are refused, none if all are."""
    if recipients is None:
        return ()
    refused = tuple(recipients)
    if not refused:
        raise ValueError("a refusal with recipients takes at least one")
    if disconnect or delay:
        raise ValueError("a refusal with recipients takes no disconnect and no delay")
    return refused


def _check(verdict: str, code: int | None, enhanced: str | None, delay: float) -> None:
    expected = _CLASSES[verdict]
    check_codes(expected * 100 + 50 if code in (None, START_MAIL_INPUT) else code, enhanced)
    if code is not None and code // 100 != expected and (verdict, code) != _AT_DATA:
        raise ValueError(f"{verdict}() takes a {expected}xx code, found {code}")
    if not 0 <= delay < math.inf:
        raise ValueError(f"{verdict}() takes a delay of 0 or more seconds, found {delay}")
