"""The protocols that clients use, one row each: everything in which they differ.

`[[listen]] protocol` names a row. No other file compares the name of a protocol.
"""

from collections.abc import Callable
from typing import NamedTuple

from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Recipient, Transaction
from gatepost.plugin.chain import Answer
from gatepost.session import answers, rules
from gatepost.session import replies as r
from gatepost.session.content.trace import WithNames, with_names
from gatepost.session.handback import hand_back, hold_there, taken_from
from gatepost.session.handover import Result, hand_over, hand_over_each, quarantine, taken
from gatepost.session.setup import Setup
from gatepost.session.traps.rule import TrapRule
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import SmtpServer


class Dialect(NamedTuple):
    """One protocol.

    `mail_rule` and `rcpt_rule` are the core's own decisions. `hand_over` delivers an accepted
    message, `hold` keeps one that is quarantined, `taken` ends one that a plugin has stored; each
    returns the reply to the end of data. `with_names` names the protocol in the Received field;
    without it no field is added. With `replies_each`, the end of a message has a reply for each
    recipient. `foreign` is whether the clients are other organisations: their
    Authentication-Results are not trusted. `trap_rule` refuses a message for its traps at DATA.
    `delivers` is whether the routes deliver: otherwise no next hop is asked about a recipient.

    `wire` parses a protocol of the SMTP family; the others have a connection of their own
    (`gatepost.server.protocols`). `service` is its name in the greeting, `help` the usual reply to
    HELP.
    """

    name: str
    mail_rule: Callable[[Setup, Transaction], Answer | None]
    rcpt_rule: Callable[[Setup, Transaction, Recipient], answers.Ruling]
    hand_over: Callable[[Setup, Transaction], Result]
    trap_rule: Callable[[TrapRule, Transaction], Answer | None] = rules.trap_rule
    hold: Callable[[Setup, Transaction, Hold], Result] = quarantine
    taken: Callable[[Setup, Transaction], Result] = taken
    with_names: WithNames | None = None
    replies_each: bool = False
    foreign: bool = True
    delivers: bool = True
    wire: type[SmtpServer] | None = None
    service: str = "ESMTP"
    help: Reply = r.HELP

    def greeting(self, hostname: str) -> Reply:
        """Return the greeting: RFC 5321 section 4.3.1, RFC 2033 section 4.1."""
        return Reply(220, f"{hostname} {self.service} Gatepost")

    @property
    def for_clients(self) -> "Dialect":
        """Return a row with the same rules for a client that sends SMTP.

        Tests and `gatepost try` are such clients, also of a listener for mail servers.
        """
        return self if self.wire is not None else self._replace(wire=SmtpServer)


SMTP = Dialect(
    name="smtp",
    wire=SmtpServer,
    mail_rule=rules.mail_rule,
    rcpt_rule=rules.rcpt_rule,
    hand_over=hand_over,
    with_names=with_names("SMTP", "ESMTP", "UTF8SMTP"),
)
LMTP = Dialect(
    name="lmtp",
    wire=LmtpServer,
    service="LMTP",
    help=r.HELP_LMTP,
    mail_rule=rules.mail_rule,
    rcpt_rule=rules.rcpt_rule,
    hand_over=hand_over_each,
    with_names=with_names("LMTP", "LMTP", "UTF8LMTP"),
    replies_each=True,
    foreign=False,
)

MILTER = Dialect(
    name="milter",
    mail_rule=rules.mail_rule_of_mta,
    rcpt_rule=rules.rcpt_rule_of_mta,
    hand_over=hand_back,
    hold=hold_there,
    taken=taken_from,
    delivers=False,
)


# For records: the mail server that asks has the message, and replies itself.
_PASSED_ON = Reply(250, "Passed on to the mail server", "2.0.0")


def _pass_on(_setup: Setup, _tx: Transaction) -> Reply:
    return _PASSED_ON


# The content is never seen: what other protocols decide after it is decided at DATA.
POLICY = Dialect(
    name="policy",
    mail_rule=rules.mail_rule_of_mta,
    rcpt_rule=rules.rcpt_rule_of_mta,
    hand_over=_pass_on,
    trap_rule=rules.trap_rule_at_end,
    delivers=False,
)

DIALECTS = {dialect.name: dialect for dialect in (SMTP, LMTP, MILTER, POLICY)}
