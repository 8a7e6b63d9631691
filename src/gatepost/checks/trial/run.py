"""One transaction in memory, and how each of its hooks was decided.

The server is the real one with the configured lists and plugins; socket, clock and target are
replaced. A recorder (`gatepost.session.recorder`) collects the steps.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatepost.checks import commands
from gatepost.checks.trial.envelope import Envelope
from gatepost.checks.trial.result import Trial, TrialOpinion, TrialResult, TrialStep
from gatepost.config.schema import Config, LedgerConfig
from gatepost.ledger.records import Record
from gatepost.model.address import Address
from gatepost.model.decision import Verdict
from gatepost.model.edits import Edit
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.results import Result
from gatepost.model.session import (
    AuthFacts,
    Change,
    Opinion,
    Recipient,
    Session,
    TlsFacts,
    Transaction,
    TrapHit,
)
from gatepost.plugin.chain import FAILED, Answer, Asked
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.memory import MemoryClient, MemoryServer
from gatepost.session.recorder import Decided, Recorder
from gatepost.traps.verdicts import TrapClass

_CLIENT_PORT = 50000
# The facts of an encrypted connection. There is no handshake in memory.
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
_LINE_END = re.compile(rb"\r?\n")
# The plugin that takes messages in place of the configured targets.
_TARGET = "capture"
_VERBS = {
    Verdict.ACCEPT: "accepted",
    Verdict.DENY: "refused",
    Verdict.DEFER: "deferred",
    Verdict.HOLD: "held",
}
# Hooks that are decided within another one, which comes first in the output.
_WITHIN = {"ehlo": "helo"}


class TrialRecorder(Recorder):
    """Collects the steps of a session, the edits of the message and the trap hits."""

    detailed = True

    def __init__(self, *, tls: bool, name: str = "") -> None:
        self._tls = tls
        self._name = name
        self.steps: list[TrialStep] = []
        self.edits: Sequence[Edit] = ()
        self.broken_signatures: Sequence[str] = ()
        self.shadowed_edits: Sequence[Edit] = ()
        self.hits: dict[str, TrapHit] = {}
        self.results: list[TrialResult] = []
        self.final: list[str] = []
        self.changes: Sequence[Change] = ()
        self.session: Session | None = None
        self._tx: Transaction | None = None

    @property
    def shadowed(self) -> list[str]:
        """The decisions of plugins in shadow mode."""
        facts = [one for one in (self.session, self._tx) if one is not None]
        return [_opinion(one) for fact in facts for one in fact.opinions]

    def connection_opened(self, session: Session) -> None:
        """Keep the session, to which the trial adds facts."""
        self.session = session
        set_fact(session, "tls", TLS if self._tls else None)
        if self._name:
            set_fact(session, "xclient", {"NAME": self._name})

    def decided(
        self,
        session: Session,
        tx: Transaction | None,
        decided: Decided,
        reply: Reply,
    ) -> None:
        """Add a step; take the edits so far, which a refused message has too."""
        by, answer = _described(decided.answer)
        asked = [one for one in decided.asked if one.plugin != _TARGET]
        about = _about(session, decided.args)
        step = TrialStep(decided.hook, about, by, answer, str(reply), *_asked(asked))
        inner = bool(self.steps) and _WITHIN.get(self.steps[-1].hook) == step.hook
        self.steps.insert(len(self.steps) - inner, step)
        if tx is not None and tx.message is not None:
            self.edits, self.broken_signatures = tx.message.edits, tx.message.broken_signatures
            self.shadowed_edits = tx.message.shadowed_edits
        if tx is not None:
            self._tx = tx
            self.final = [_recipient(one) for one in tx.recipients]
            self.changes = () if tx.acting is None else tx.acting.changes
            self.results = [_copied(one) for one in tx.found or ()]

    def looked_up(
        self, tx: Transaction, rcpt: Recipient, answer: Answer | None, asked: Sequence[Asked]
    ) -> None:
        """Add a look-up as a step, in front of that of RCPT."""
        del tx
        by, found = ("", "no opinion") if answer is None else (answer.by, _found(answer))
        opinions = _asked(asked, _found)
        self.steps.append(TrialStep("lookup", str(rcpt.address), by, found, "", *opinions))

    def accepted(self, tx: Transaction, reply: Reply) -> None:  # noqa: ARG002
        """Add the recipients, and the results of the last plugins."""
        self.final = [_recipient(one) for one in tx.recipients]
        self.results = [_copied(one) for one in tx.found or ()]

    def traps_hit(self, tx: Transaction) -> None:
        """Add the trap hits."""
        self.hits.update({str(hit.address): hit for hit in tx.trap_hits})


def _copied(result: Result) -> TrialResult:
    given = {name: value for name, value in result.facts.items() if name != "score" or value}
    facts = {name: str(value) for name, value in given.items() if value != ""}
    return TrialResult(result.name, result.value, facts)


def _opinion(opinion: Opinion) -> str:
    decision = opinion.decision
    reason = f", {decision.reason}" if decision.reason else ""
    hook = opinion.method.removeprefix("on_")
    return f"would have {_VERBS[decision.verdict]} at {hook}{reason} (by {opinion.plugin})"


def _recipient(rcpt: Recipient) -> str:
    return f"{rcpt.address} by route {rcpt.route}" if rcpt.route else str(rcpt.address)


def _described(answer: Answer | None) -> tuple[str, str]:
    """Return the author of an answer, and the answer with its reason."""
    if answer is None:
        return "", ""
    if answer.by == _TARGET:
        return "", "not delivered: this is a trial"
    decision = answer.decision
    verdict = decision.verdict.value
    return answer.by, f"{verdict} ({decision.reason})" if decision.reason else verdict


def _opinion_of(answer: Answer) -> str:
    return _described(answer)[1]


def _asked(
    asked: Sequence[Asked], describe: Callable[[Answer], str] = _opinion_of
) -> tuple[list[str], list[TrialOpinion]]:
    """Return the names of plugins, and their opinions."""
    opinions = [
        TrialOpinion(one.plugin, "" if one.answer is None else describe(one.answer), one.seconds)
        for one in asked
    ]
    return [one.plugin for one in asked], opinions


def _found(answer: Answer) -> str:
    """Return the answer to a look-up: "local", "unknown" with its text, or a failure."""
    decision = answer.decision
    if decision.reason == FAILED:
        return _described(answer)[1]
    return "local" if decision.verdict is Verdict.ACCEPT else f"unknown ({decision.text})"


def _about(session: Session, args: tuple[Any, ...]) -> str:
    match args:
        case (Session(),):
            return session.peer.host
        case (Transaction(), Recipient() as rcpt):
            return str(rcpt.address)
        case (Transaction(), Address() as sender):
            return f"<{sender}>"
        case (Session(), str() as text):
            return text
        case _:
            return ""


def _now() -> VirtualClock:
    return VirtualClock(datetime.now(UTC))


async def run(
    config: Config, envelope: Envelope, content: bytes, keep: Callable[[Record], None] | None = None
) -> Trial:
    """Run the transaction; raises `SetupError` or `PluginError` if the server could not start.

    `keep` takes the records that the ledger would get, with all addresses in full.
    """
    config = msgspec.structs.replace(config, ledger=LedgerConfig())
    recorder, clock = TrialRecorder(tls=envelope.tls, name=envelope.name), _now()
    async with MemoryServer(config=config, clock=clock, recorder=recorder, records=keep) as server:
        peer = (envelope.ip, _CLIENT_PORT)
        client = server.connect(peer, envelope.protocol, envelope.listen)
        recipients = await _Dialogue(client, recorder).run(envelope, content)
        await client.close()
    traps = [_named(hit) for hit in recorder.hits.values()]
    edits, broken = [*recorder.edits], [*recorder.broken_signatures]
    waited, accepted = sum(clock.slept), bool(recipients)
    final = recorder.final if accepted else []
    submitted = [one.recipients for one in server.submitted]
    return Trial(
        recorder.steps,
        edits,
        broken,
        traps,
        waited,
        accepted,
        recipients,
        final,
        [*recorder.changes],
        submitted,
        recorder.results,
        [*recorder.shadowed_edits],
        recorder.shadowed,
        "" if recorder.session is None else recorder.session.id,
    )


def _named(hit: TrapHit) -> str:
    note = f" ({hit.note})" if hit.note else ""
    where = f"{hit.source}:{hit.line}" if hit.line else hit.source
    kind = "" if hit.trap_class == TrapClass.PRISTINE.value else f", {hit.trap_class}"
    return f"{hit.address} matches {hit.entry}{note} in {where}{kind}"


class _Dialogue:
    """The client's side; adds replies to `steps` that no hook led to, such as syntax errors."""

    def __init__(self, client: MemoryClient, recorder: TrialRecorder) -> None:
        self._recorder = recorder
        self._steps = recorder.steps
        self._client = client

    async def run(self, envelope: Envelope, content: bytes) -> list[str]:
        """Send the message; return the recipients it was accepted for."""
        session = self._recorder.session
        if not await self._answered("connect", "", 0, 2):
            return []
        protocol = "" if session is None else session.protocol
        if not await self._sent("helo", commands.hello(protocol, envelope.helo), 2):
            return []
        if envelope.user and session is not None:
            set_fact(session, "auth", AuthFacts(envelope.user, "PLAIN"))
        recipients = [*map(str, envelope.recipients)]
        if not await self._sent("mail", commands.mail(str(envelope.sender), recipients), 2):
            return []
        accepted = [one for one in recipients if await self._sent("rcpt", commands.rcpt(one), 2)]
        if not accepted or not await self._sent("data", "DATA", 3):
            return []
        before = len(self._steps)
        self._client.send(_stuffed(content))
        if protocol == "lmtp":  # one reply for each recipient
            return [one for one in accepted if await self._answered("message", "", before, 2)]
        return accepted if await self._answered("message", "", before, 2) else []

    async def _sent(self, hook: str, line: str, expected: int) -> bool:
        before = len(self._steps)
        self._client.send(f"{line}\r\n".encode())
        return await self._answered(hook, line, before, expected)

    async def _answered(self, hook: str, about: str, before: int, expected: int) -> bool:
        """Read a reply; return whether it is of the expected class.

        `before` is the number of steps before the client sent its command.
        """
        reply = await self._client.reply()
        if reply and reply not in [step.reply for step in self._steps[before:]]:
            self._steps.append(TrialStep(hook, about, "gatepost", "", reply))
        return reply.startswith(str(expected))


def _stuffed(content: bytes) -> bytes:
    """Return the content as DATA transmits it: CRLF line ends, dots stuffed."""
    lines = _LINE_END.sub(b"\r\n", content)
    lines = re.sub(rb"(?m)^\.", b"..", lines)
    return lines + (b"" if lines.endswith(b"\r\n") or not lines else b"\r\n") + b".\r\n"
