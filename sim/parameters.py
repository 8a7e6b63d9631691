"""The parameters of the actors: each number with its source.

`assumed` marks what no source gives. The tornado multiplies these by a half and by two, see
`sim.experiments`. The letters A to D are the logs that docs/simulation.md describes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Parameter(NamedTuple):
    """A number, its meaning and where it comes from."""

    value: float
    meaning: str
    source: str
    assumed: bool = True


_A = "log A (Exim, 9 hours, 2020)"
_B = "log B (Postfix, 4 days, 2015)"
_C = "log C (Postfix, a hoster's outgoing relay, 2012)"
_OURS = "assumption"

PARAMETERS: Mapping[str, Parameter] = {
    # Legitimate mail
    "stale share, a": Parameter(0.2, "Beta(a, b) of unknown recipients, ordinary sender", _OURS),
    "stale share, b": Parameter(5.0, "mean 3.8 %", _OURS, assumed=False),
    "stale share, lists, a": Parameter(0.3, "Beta(a, b) of unknown recipients, bulk sender", _OURS),
    "stale share, lists, b": Parameter(3.0, "mean 9 %", _OURS, assumed=False),
    "stale is recycled": Parameter(0.5, "share of stale recipients that left recently", _OURS),
    "typo": Parameter(0.002, "typos per recipient that is entered by hand", _OURS),
    "new contacts": Parameter(0.05, "share of messages from a sender never seen before", _OURS),
    "correspondents written to": Parameter(0.5, "share of senders that our users wrote to", _OURS),
    "senders on shared networks": Parameter(
        0.36, "share of senders at big providers", "phishing_pot (2022-2026), share of messages"
    ),
    "senders next to bots": Parameter(
        0.02, "share of own mail servers in a network that bots use too", _OURS
    ),
    "leavers": Parameter(0.08, "share of users that leave in a year", _OURS),
    "providers in the shipped list": Parameter(
        0.5, "share of sending services that providers.txt covers", _OURS
    ),
    "tenants with bad lists": Parameter(3 / 50, "share of a sending service's customers", _OURS),
    "stale share of a bad list": Parameter(0.10, "of a newsletter", _OURS),
    "traps on a bad list": Parameter(0.005, "share of bought addresses that are traps", _OURS),
    "removes bounces": Parameter(0.7, "share of senders that stop after three 5xx", _OURS),
    "stale share of a list server": Parameter(0.02, "of subscribers", _OURS),
    "forwarded spam": Parameter(0.2, "share of spam in forwarded mail", _OURS),
    "backscatter networks": Parameter(
        12, "networks that bounce for one forged address in a day", _B, assumed=False
    ),
    "bounces with a sender": Parameter(0.03, "share of bounces without the null sender", _OURS),
    "call-outs": Parameter(0.005, "share of sessions", _OURS),
    # Spam
    "live share of a list": Parameter(
        0.3, "addresses of a spammer's list that exist", "Cutwail, Stone-Gross et al. 2011"
    ),
    "traps on a list": Parameter(0.05, "tau: share of a spammer's list that is a trap", _OURS),
    "message identifiers on a list": Parameter(
        0.05, "share of a spammer's list; all 47 unknown addresses of one domain in log A", _OURS
    ),
    "networks of a botnet": Parameter(2000, "/24 networks that a campaign uses", _OURS),
    "dictionary batch": Parameter(99, "words in a transaction, with 1 random name", _A, False),
    "dictionary transactions": Parameter(11, "in 8.5 hours, over the domains", _A, False),
    "sorted batch, small": Parameter(10, "recipients of a transaction: 10 or 11", _C, False),
    "sorted batch, large": Parameter(22, "recipients of a transaction: 20 to 24", _A, False),
    "sorted list, dead": Parameter(0.9, "share of unknown addresses (92 % bounced)", _C, False),
    "snowshoe messages": Parameter(8, "messages to users in a morning", _A, assumed=False),
    "snowshoe domain": Parameter(2400, "seconds until the next domain (20 to 60 min)", _A, False),
    "buyers of a list": Parameter(5, "spammers that buy the same list", _OURS),
    "cleaned by a buyer": Parameter(0.1, "share that a buyer removes", _OURS),
    "removed after 5xx": Parameter(0.3, "chance that a refused address is removed", _OURS),
    "harvest to first spam": Parameter(
        12, "median in days, log-normal", "Project Honey Pot 2009 (mean 17.5 days)", False
    ),
    "seeds that are harvested": Parameter(
        0.02, "0.005 to 0.05", "Hohlfeld et al. 2012 (0.5 %), Project Honey Pot 2010 (5 of 100)"
    ),
    # The baseline that others have too
    "block list": Parameter(0.6, "share of spamming hosts that DNS block lists have", _OURS),
    "content filter": Parameter(0.9, "share of spam that a content filter finds", _OURS),
}

# Distinct recipients of a message at one business domain: log C, 7,387 pairs.
RECIPIENTS: Mapping[int, int] = {
    1: 6917,
    2: 289,
    3: 105,
    4: 37,
    5: 19,
    6: 4,
    7: 2,
    8: 4,
    9: 3,
    10: 1,
    11: 2,
    13: 2,
    18: 1,
    21: 1,
}
# Recipients of a refused transaction of a botnet: log B, 1,649 transactions.
BOTNET_RECIPIENTS: Mapping[int, int] = {1: 1630, 2: 14, 4: 1, 6: 4}


class Values:
    """The values in force: `values["typo"]`."""

    def __init__(self, changes: Mapping[str, float] | None = None) -> None:
        self.changes = dict(changes or {})
        unknown = self.changes.keys() - PARAMETERS.keys()
        if unknown:
            raise KeyError(f"no such parameter: {', '.join(sorted(unknown))}")

    def __getitem__(self, name: str) -> float:
        return self.changes.get(name, PARAMETERS[name].value)

    def scaled(self, name: str, factor: float) -> Values:
        """Return these values with one multiplied."""
        return Values(self.changes | {name: self[name] * factor})
