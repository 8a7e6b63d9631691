"""Run a program that reads each message, and decides by its exit status or a line of JSON.

This is the way to scanners that have no plugin. The content goes to the standard input as it was
received. The envelope is in the environment; nothing of a message is in the arguments.

Trusts: the program, which has the rights of the server. What it writes is checked. Limits: those of
all scanners, and those of `gatepost.plugins._program`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from gatepost import Decision, MessageTransaction, Reaction, defer, deny, field, hold
from gatepost.plugins._program import Ended, run
from gatepost.plugins._scanner import Scanner, ScannerError, ScannerOptions, content_of

_PATH = "/usr/local/bin:/usr/bin:/bin"
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]")
_STATUS = re.compile(r"[1-9][0-9]{0,2}")
_LONGEST = 500
_MOST_FIELDS = 50
# Of sysexits.h: EX_NOPERM and EX_TEMPFAIL. A script that fails usually has the status 1.
_DEFAULTS = {"77": Reaction("deny"), "75": Reaction("defer")}


Verdict = Literal["pass", "deny", "defer", "hold"]
_VERDICTS: Mapping[str, Verdict] = {"deny": "deny", "defer": "defer", "hold": "hold"}


class Answer(msgspec.Struct):
    """The answer of a program, as JSON or by its exit status.

    `text` is the reply to the client,
    `score` a number of points. `add_headers` are fields to add to a message that is accepted.
    """

    verdict: Verdict = "pass"
    text: str = ""
    score: float = 0.0
    add_headers: dict[str, str] = field(default_factory=dict)


_DECODER = msgspec.json.Decoder(Answer)
_VALUES = {"pass": "passed", "deny": "denied", "defer": "deferred", "hold": "held"}


class Command(Scanner[Answer]):
    """Adds the result `command`: "passed", "denied", "deferred", "held", "skipped", "temperror"."""

    result = "command"

    class Options(ScannerOptions, kw_only=True):
        """The program, and what its answers mean."""

        command: tuple[str, ...]
        """The program, with its path, and its arguments. There is no shell."""
        most: int = 4
        """The number of programs that each worker runs at the same time. Others wait."""
        answer: Literal["status", "json"] = "status"
        """Whether the exit status decides, or a line of JSON in the output."""
        statuses: dict[str, Reaction] = field(default_factory=dict)
        """The reaction to each exit status. 0 accepts the message. Unless they are listed, 75 is a
        deferral and 77 a refusal; all others are a failure."""
        text: str = "Message refused by local policy"
        """The reply to a message that is refused."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.command or "/" not in self.command[0] or "\0" in "".join(self.command):
                raise ValueError("command: expected the path of a program, and its arguments")
            for status in self.statuses:
                if not (_STATUS.fullmatch(status) and int(status) < 256):
                    raise ValueError(f"statuses: expected 1 to 255, found {status!r}")

    async def scan(self, tx: MessageTransaction) -> Answer:
        """Run the program, and read its answer."""
        program, *arguments = self.options.command
        ended = await run(
            [str(self.path(program).absolute()), *arguments],
            dict(environment(tx)),
            self.path(""),
            content_of(tx),
        )
        return self._by_json(ended) if self.options.answer == "json" else self._by_status(ended)

    def _by_json(self, ended: Ended) -> Answer:
        if ended.status != 0:
            raise _failure(ended)
        return parse_answer(ended.output)

    def _by_status(self, ended: Ended) -> Answer:
        if ended.status == 0:
            return Answer()
        reaction = {**_DEFAULTS, **self.options.statuses}.get(str(ended.status))
        if reaction is None:
            raise _failure(ended)
        return Answer(_VERDICTS.get(reaction.word, "pass"), score=reaction.score)

    def conclude(self, tx: MessageTransaction, found: Answer) -> Decision | None:
        """Do what the program has answered."""
        self.add(tx, _VALUES[found.verdict], score=found.score)
        text = found.text[:_LONGEST] or self.options.text
        if found.verdict == "deny":
            return deny(text, enhanced="5.7.1", reason="command")
        if found.verdict == "defer":
            return defer(text, enhanced="4.7.1", reason="command")
        self._add_fields(tx, found)
        return hold("command") if found.verdict == "hold" else None

    def _add_fields(self, tx: MessageTransaction, found: Answer) -> None:
        for name, value in reversed(found.add_headers.items()):
            try:
                tx.message.add_header(name, " ".join(value.split()))
            except ValueError as error:
                log = self.log_for(tx)
                log.warning("field not edited", problem=str(error)[:_LONGEST])


def parse_answer(octets: bytes) -> Answer:
    """Return the answer in the first line of an output; raises `ScannerError`."""
    line = octets.strip().partition(b"\n")[0]
    try:
        answer = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise ScannerError(f"expected a line of JSON, found {line[:80]!r}: {error}") from error
    if len(answer.add_headers) > _MOST_FIELDS:
        raise ScannerError(f"expected at most {_MOST_FIELDS} fields to add")
    return answer


def _failure(ended: Ended) -> ScannerError:
    text = (ended.errors or ended.output).decode("utf-8", "replace").strip()
    first_line = text.partition("\n")[0][:100]
    return ScannerError(f"the program ended with the status {ended.status}: {first_line}")


def environment(tx: MessageTransaction) -> Iterator[tuple[str, str]]:
    """Yield the variables of a program: those of the target `pipe:`, and the HELO."""
    yield "PATH", _PATH
    yield "SENDER", _safe(str(tx.reverse_path))
    yield "CLIENT_ADDRESS", _safe(tx.session.peer.host)
    yield "CLIENT_HELO", _safe(tx.session.helo)
    yield "MESSAGE_REF", tx.id
    if len(tx.recipients) == 1:
        yield "RECIPIENT", _safe(str(tx.recipients[0].address))


def _safe(value: str) -> str:
    return _CONTROL.sub("?", value)
