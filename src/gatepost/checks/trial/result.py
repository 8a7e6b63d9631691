"""The result of a trial, as `gatepost try --json` and the HTTP API return it.

Texts come from plugins and from the message: they can have any character.
"""

import msgspec

from gatepost.model.edits import Edit
from gatepost.model.session import Change


class TrialOpinion(msgspec.Struct):
    """A plugin that was asked, its opinion, "" for none, and the time it took in seconds."""

    plugin: str
    opinion: str
    seconds: float


class TrialStep(msgspec.Struct):
    """The decision of one hook; `by` names the plugin (`gatepost` is the core, "" for none).

    The hook `lookup` is the question of the core who is local (`on_lookup`); it has no reply.

    `about` is the argument of the command, `answer` the verdict and its reason, `asked` the plugins
    that were asked before that, and `opinions` their opinions.
    """

    hook: str
    about: str
    by: str
    answer: str
    reply: str
    asked: list[str] = []
    opinions: list[TrialOpinion] = []


class TrialResult(msgspec.Struct):
    """A result of a plugin about the message, as in `tx.results`."""

    name: str
    value: str
    facts: dict[str, str]

    def __str__(self) -> str:
        facts = [f"{name}={value}" for name, value in self.facts.items()]
        return " ".join([f"{self.name}={self.value}", *facts])


class Trial(msgspec.Struct):
    """The result of the transaction; `delay` is the client's wait, in seconds.

    `accepted` is whether the message was accepted, `recipients` are those it was accepted for, and
    `final` those that would get it. `changes` are those of recipients and delivery by plugins.
    `submitted` has the recipients of each message that plugins would send. `results` are the
    results of plugins, `edits` their edits, `broken_signatures` the signatures that the edits
    invalidate. `shadowed_edits` are those of plugins in shadow mode, without effect, and `shadowed`
    their decisions. `ref` is the reference of the session in replies and in the log.
    """

    steps: list[TrialStep]
    edits: list[Edit]
    broken_signatures: list[str]
    traps: list[str]
    delay: float
    accepted: bool
    recipients: list[str]
    final: list[str] = []
    changes: list[Change] = []
    submitted: list[list[str]] = []
    results: list[TrialResult] = []
    shadowed_edits: list[Edit] = []
    shadowed: list[str] = []
    ref: str = ""
