"""The form of the view Try: its values, from a link, a form or a record, and its link.

Values are taken as they are: a trial checks them. Limits: a link has MOST_LINKED recipients, and no
content.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlencode

from gatepost.checks.trial.envelope import PROTOCOLS, Given
from gatepost.ledger.records import Connection, Transaction
from gatepost.ledger.words.story import Story

PATH = "/try"
MOST_LINKED = 50


class TryForm(NamedTuple):
    """The values of the form. `message` is the text of a message, "" for a short one.

    `to` has the recipients, one on each line. `compare` is the name of another configuration.
    """

    given: Given = Given()
    compare: str = ""
    message: str = ""

    @property
    def to(self) -> str:
        """The recipients as lines."""
        return "\n".join(self.given.recipients)

    @property
    def link(self) -> str:
        """The path that fills in the form, without the message."""
        return link(self.given, self.compare)


def read_fields(fields: Sequence[tuple[str, str]]) -> TryForm:
    """Return the values of a query or a form, the last of several with a name."""
    last = dict(fields)
    lines = [line.strip() for name, value in fields if name == "to" for line in value.splitlines()]
    texts = {name: last[name].strip() for name in _TEXTS if name in last}
    given = Given(recipients=[*filter(None, lines)], tls=last.get("tls", "") == "yes", **texts)
    return TryForm(given, last.get("compare", "").strip(), last.get("message", ""))


def link(given: Given, compare: str = "") -> str:
    """Return the path that fills in the form with these values."""
    values = [(name, getattr(given, name)) for name in _TEXTS]
    values += [("to", one) for one in given.recipients[:MOST_LINKED]]
    values += [("tls", "yes" if given.tls else ""), ("compare", compare)]
    return f"{PATH}?{urlencode([(name, value) for name, value in values if value])}"


def link_of(story: Story) -> str:
    """Return the path that fills in the form from a record, "" if its client has no IP address."""
    main = story.transaction or story.connection
    if main is None or not _is_ip(main.client.address):
        return ""
    client = main.client
    given = Given(
        ip=client.address,
        name=client.xclient.get("NAME", ""),
        helo=client.helo or Given().helo,
        sender=main.sender if isinstance(main, Transaction) else "",
        recipients=[] if isinstance(main, Connection) else [*_recipients(main)],
        user=client.user,
        tls=bool(client.tls),
        protocol=client.protocol if client.protocol in PROTOCOLS else "",
        listen=client.listener,
    )
    return link(given)


def _recipients(tx: Transaction) -> Iterable[str]:
    """Return the recipients that the client has named."""
    named = (one.address for one in tx.recipients if not one.added)
    return dict.fromkeys([*tx.replaced, *named])


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_OTHERS = frozenset({"recipients", "tls"})
_TEXTS = tuple(name for name in Given.__struct_fields__ if name not in _OTHERS)
