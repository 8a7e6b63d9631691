"""One transaction in memory, and what everyone said to it.

The server is the real one with the configured lists and plugins; only socket, clock and target are
not. A plugin that is told the outcome of every hook writes the record.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatepost.config.schema import Config
from gatepost.model.address import Address
from gatepost.model.headers import Headers
from gatepost.model.session import Recipient, Session, Transaction, TrapHit
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.chain import Outcome
from gatepost.plugin.contract import implements
from gatepost.plugin.hooks import HOOKS, STAGES
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.memory import MemoryClient, MemoryServer
from gatepost.session.assemble import load_plugins

# What clients see of a message's way, in its order.
TRACED = ("connect", "helo", "ehlo", "mail", "rcpt", "data", "headers", "message", "deliver")
NOBODY_LISTENS = "headers"
_CLIENT_PORT = 50000
_LINE_END = re.compile(rb"\r?\n")


class Envelope(msgspec.Struct, frozen=True):
    """Who sends to whom: the client's IP address and name, the paths."""

    ip: str
    helo: str
    sender: Address
    recipients: list[Address]


class Step(msgspec.Struct):
    """What came of one hook: who decided (`gatepost` is the core, "" nobody) and the reply.

    `about` is what it was about, `answer` the verdict and its reason, `asked` the plugins that
    were asked before that.
    """

    hook: str
    about: str
    by: str
    answer: str
    reply: str
    asked: list[str] = []


class Trial(msgspec.Struct):
    """What came of the transaction; `delay` is what the client had to wait, in seconds."""

    steps: list[Step]
    traps: list[str]
    delay: float
    accepted: bool


class Tracer(Plugin):
    """Writes down the outcome of every hook."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.hits: dict[str, TrapHit] = {}

    def note(self, hook: str, args: tuple[Any, ...], outcome: Outcome) -> None:
        """Write down one outcome; the arguments are the hook's."""
        if isinstance(args[0], Transaction):
            self.hits.update((str(hit.address), hit) for hit in args[0].trap_hits)
        answer = outcome.answer
        reply = str(outcome.reply)
        if answer is None:
            self.steps.append(Step(hook, _about(args), "", "", reply))
            return
        decision = answer.decision
        words = f"{decision.verdict.value} ({decision.reason})" if decision.reason else None
        said = words or decision.verdict.value
        self.steps.append(Step(hook, _about(args), answer.by, said, reply))


def make_tracer(hooks: Iterable[str]) -> Tracer:
    """Return a tracer of these hooks only."""
    methods = {f"after_{hook}": _follower(hook) for hook in hooks}
    tracer: Tracer = type("Trace", (Tracer,), methods)()
    return tracer


def _follower(hook: str) -> Callable[..., None]:
    def follow(self: Tracer, *args: Any) -> None:
        self.note(hook, args[:-1], args[-1])

    return follow


def _about(args: tuple[Any, ...]) -> str:
    match args:
        case (Session() as session,):
            return session.peer.host
        case (Transaction(), Recipient() as rcpt):
            return str(rcpt.address)
        case (Transaction(), Address() as sender):
            return f"<{sender}>"
        case (Session(), str() as text):
            return text
        case (Transaction(), Headers()) | (Session(), list()):
            return ""
        case _:
            return ""


async def hold(config: Config, envelope: Envelope, content: bytes) -> Trial:
    """Run the transaction; raises `SetupError` or `PluginError` if the server could not start."""
    installed = load_plugins(config)
    tracer = make_tracer(_traced(installed))
    clock = VirtualClock(datetime.now(UTC))
    bare = msgspec.structs.replace(config, plugin=())
    async with MemoryServer([*installed, tracer], config=bare, clock=clock) as server:
        client = server.connect((envelope.ip, _CLIENT_PORT))
        dialogue = Dialogue(client, tracer)
        accepted = await dialogue.run(envelope, content)
        await client.close()
        deciders = {
            hook: [name for name in names if name not in {tracer.name, "capture"}]
            for hook, stage, names in server.setup.plugins.order()
            if stage == "on"
        }
    for step in tracer.steps:
        step.asked = _asked(deciders.get(step.hook, []), step.by)
        if step.by == "capture":
            step.by, step.answer = "", "not delivered: this is a trial"
    traps = [_described(hit) for hit in tracer.hits.values()]
    return Trial(dialogue.steps, traps, sum(clock.slept), accepted)


def _traced(installed: list[Installed]) -> list[str]:
    """Return the hooks to trace.

    The header block is only read, and its size limited, where a plugin wants it: the tracer must
    not be the one who does.
    """
    readers = any(
        implements(one.plugin, f"{stage}_{NOBODY_LISTENS}") for one in installed for stage in STAGES
    )
    return [hook for hook in HOOKS if hook in TRACED and (readers or hook != NOBODY_LISTENS)]


def _asked(deciders: list[str], by: str) -> list[str]:
    if by in deciders:
        return deciders[: deciders.index(by) + 1]
    return [] if by == "gatepost" else deciders


def _described(hit: TrapHit) -> str:
    note = f" ({hit.note})" if hit.note else ""
    return f"{hit.address} is named by {hit.entry}{note} in {hit.source}:{hit.line}"


class Dialogue:
    """The client's side; `steps` are the tracer's, and those refused before any hook."""

    def __init__(self, client: MemoryClient, tracer: Tracer) -> None:
        self.steps = tracer.steps
        self._client = client

    async def run(self, envelope: Envelope, content: bytes) -> bool:
        """Send the message; return whether it was accepted."""
        if not await self._answered("connect", "", 0, 2):
            return False
        if not await self._said("helo", f"EHLO {envelope.helo}", 2):
            return False
        if not await self._said("mail", f"MAIL FROM:<{envelope.sender}>{_params(envelope)}", 2):
            return False
        taken = [await self._said("rcpt", f"RCPT TO:<{one}>", 2) for one in envelope.recipients]
        if not any(taken) or not await self._said("data", "DATA", 3):
            return False
        before = len(self.steps)
        self._client.send(_stuffed(content))
        return await self._answered("message", "", before, 2)

    async def _said(self, hook: str, line: str, expected: int) -> bool:
        before = len(self.steps)
        self._client.send(f"{line}\r\n".encode())
        return await self._answered(hook, line, before, expected)

    async def _answered(self, hook: str, about: str, before: int, expected: int) -> bool:
        """Read a reply; whether it is of the expected class.

        `before` is how many steps there were when the client last spoke.
        """
        reply = await self._client.reply()
        if reply and reply not in [step.reply for step in self.steps[before:]]:
            self.steps.append(Step(hook, about, "gatepost", "", reply))
        return reply.startswith(str(expected))


def _params(envelope: Envelope) -> str:
    paths = (envelope.sender, *envelope.recipients)
    return "" if all(str(path).isascii() for path in paths) else " SMTPUTF8"


def short_message(envelope: Envelope) -> bytes:
    """Return a message to try with where none is given."""
    recipients = ", ".join(map(str, envelope.recipients))
    lines = (
        f"From: <{envelope.sender}>",
        f"To: {recipients}",
        "Subject: A trial",
        "",
        "Hello.",
        "",
    )
    return "\r\n".join(lines).encode()


def _stuffed(content: bytes) -> bytes:
    """Return the content as DATA transmits it, its line ends as SMTP wants them."""
    lines = _LINE_END.sub(b"\r\n", content)
    lines = re.sub(rb"(?m)^\.", b"..", lines)
    return lines + (b"" if lines.endswith(b"\r\n") or not lines else b"\r\n") + b".\r\n"
