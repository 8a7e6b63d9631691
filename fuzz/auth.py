"""AUTH, with any responses cut in any way: no exception, sound replies, and no login.

The first byte of an input chooses the first mechanism. The rest are lines of the client, each sent
after the reply to the previous one.
"""

import re
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator

from tests.wire.driver import HELLO, drain, usual
from tests.wire.invariants import assert_classes_match, assert_replies_well_formed

from fuzz.engine import Target, run
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.reply import Reply
from gatepost.session.replies import AUTH_MALFORMED
from gatepost.wire import events as e
from gatepost.wire.sasl.mechanism import Challenge, Mechanism, SaslError
from gatepost.wire.sasl.plain import Login, Plain
from gatepost.wire.sasl.scram import ScramSha256, fake_verifier
from gatepost.wire.smtp import SmtpServer, WireLimits
from gatepost.wire.smtp.replies import CONTINUE_AUTH
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS

NONCE = "server-nonce"
MECHANISMS: dict[str, Callable[[], Mechanism]] = {
    "PLAIN": Plain,
    "LOGIN": Login,
    "SCRAM-SHA-256": lambda: ScramSha256(NONCE, lambda name: fake_verifier(name, b"key", 4096)),
}
WRONG = Reply(535, "wrong", "5.7.8")
NAMES = tuple(MECHANISMS)

_CUT_AT = re.compile(rb"(?<=\n)")


class Exchange:
    """A server without users, in the middle of an exchange."""

    def __init__(self) -> None:
        self.server = SmtpServer(WireLimits(command_line=512), extensions=EXTENSIONS | {"AUTH"})
        self.mechanism: Mechanism | None = None
        self.attempts: list[AuthAttempt] = []

    def send(self, data: bytes, cut: int) -> bytes:
        """Send a line in pieces of `cut` octets; return the replies."""
        out = b""
        for at in range(0, len(data), cut):
            self.server.receive_data(data[at : at + cut])
            for event in drain(self.server):
                if type(event) is not e.Content:
                    out += self.server.send(self._answer(event))
        return out

    def _answer(self, event: e.Event) -> Reply:
        if type(event) is e.Auth:
            self.mechanism = MECHANISMS.get(event.mechanism, Plain)()
            return self._step(event.initial)
        return self._step(event.data) if type(event) is e.AuthResponse else usual(event)

    def _step(self, response: bytes | None) -> Reply:
        assert self.mechanism is not None
        try:
            outcome = self.mechanism.step(response)
        except SaslError:
            return AUTH_MALFORMED
        if isinstance(outcome, Challenge):
            return Reply(CONTINUE_AUTH, b64encode(outcome.data).decode())
        self.attempts.append(outcome)
        return WRONG


def lines(data: bytes) -> Iterator[bytes]:
    """Yield EHLO, AUTH and the lines of the client."""
    yield HELLO
    yield f"AUTH {NAMES[(data[0] if data else 0) % len(NAMES)]}\r\n".encode()
    yield from _CUT_AT.split(data[1:])


def play(data: bytes, cut: int) -> tuple[bytes, Exchange]:
    """Send every line until the server closes; return all replies."""
    exchange, out = Exchange(), b""
    for line in lines(data):
        if not exchange.server.closed:
            out += exchange.send(line, cut)
    return out, exchange


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    whole, exchange = play(data, max(1, len(data) + len(HELLO)))
    bytewise, other = play(data, 1)
    assert whole == bytewise
    assert [repr(one) for one in exchange.attempts] == [repr(one) for one in other.attempts]
    assert_replies_well_formed(whole)
    assert_classes_match(whole)
    assert not exchange.server.agreed.authenticated
    for attempt in exchange.attempts:
        assert not attempt.proven
        assert attempt.user.isprintable()
        assert attempt.user.split() == [attempt.user]


def _b64(text: bytes) -> bytes:
    return b64encode(text) + b"\r\n"


TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b"*\r\n", b"=\r\n", b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"="),
    *(b"AUTH SCRAM-SHA-256 ", b"NOOP\r\n", b"RSET\r\n", b"MAIL FROM:<a@b>\r\n", b"\xff", b" "),
    *(_b64(b"\0alice\0secret"), _b64(b"alice"), _b64(b"n,,n=a,r=b"), _b64(b"\0\x07\0x"), b"A" * 99),
    _b64(b"c=biws,r=b" + NONCE.encode() + b",p=" + b64encode(b"\0" * 32)),
]
SEEDS = [
    b"\0" + _b64(b"\0alice\0secret") + b"AUTH PLAIN " + _b64(b"bob\0alice\0secret"),
    b"\1" + _b64(b"alice") + _b64(b"secret"),
    b"\1*\r\nAUTH LOGIN " + _b64(b"alice") + b"secret\r\n",
    b"\2" + TOKENS[-4] + TOKENS[-1],
    b"\2" + _b64("n,,n=\u05d0,r=x".encode()) + b"=\r\n",
    b"\0" + b"A" * 13000 + b"\r\n",
]


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
