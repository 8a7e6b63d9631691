"""Good senders: smtplib in threads of a separate process; each message has a token.

They behave as mail servers do: they wait for replies, send a few messages on each connection, some
with STARTTLS, and use various source addresses. They do not retry, so each token is sent once.
"""

from __future__ import annotations

import contextlib
import random
import smtplib
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from endurance.outcome import MARK, SIZE, Outcome, answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Long enough for the replacement of a worker, short enough for a run to end.
PATIENCE = 60.0
_SIZES = (200, 2_000, 4_000, 4_000, 20_000, 300_000)


# Accepts any certificate: the server's is created for the run.
_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class SenderGroup:
    """Concurrent senders until `until` (time.time()); `tls` is a share of the connections."""

    port: int
    until: float
    senders: int = 8
    recipient: str = "user@example.com"
    network: str = "127.10"
    tls: float = 0.0
    seed: int = 1
    pause: float = 0.05  # seconds between messages, at most


@dataclass
class Sender:
    """One sender of a group."""

    group: SenderGroup
    number: int
    count: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.group.seed}-{self.number}")

    def run(self) -> list[Outcome]:
        """Send until the group's time is over."""
        while time.time() < self.group.until:
            with contextlib.suppress(OSError, smtplib.SMTPException), self._connected() as client:
                for _ in range(self.chance.randint(1, 5)):
                    self._send(client)
                    self._rest()
            self._rest()
        return self.outcomes

    def _rest(self) -> None:
        time.sleep(self.chance.random() * self.group.pause)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        source = f"{self.group.network}.{self.chance.randrange(256)}.{self.number + 1}"
        with smtplib.SMTP(
            "127.0.0.1",
            self.group.port,
            local_hostname="good.example",
            timeout=PATIENCE,
            source_address=(source, 0),
        ) as client:
            if self.chance.random() < self.group.tls:
                client.starttls(context=_UNVERIFIED)
            yield client

    def _send(self, client: smtplib.SMTP) -> None:
        self.count += 1
        token = f"{self.group.seed}-{self.number}-{self.count}"
        content = self._content(token)
        started = time.monotonic()
        try:
            client.sendmail("good@good.example", [self.group.recipient], content)
        except smtplib.SMTPResponseException as error:
            self._record(token, error.smtp_code, started, error.smtp_error)
            raise
        except smtplib.SMTPRecipientsRefused as error:
            [(code, text)] = error.recipients.values()
            self._record(token, code, started, text)
            raise
        except (OSError, smtplib.SMTPException):
            self._record(token, 0, started)
            raise
        self._record(token, 250, started)

    def _record(self, token: str, code: int, started: float, text: bytes | str = "") -> None:
        seconds = time.monotonic() - started
        status = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        status = status.partition(" ")[0]
        self.outcomes.append(Outcome(token, answer_of(code), code, seconds, time.time(), status))

    def _content(self, token: str) -> bytes:
        size = self.chance.choice(_SIZES)
        line = b"An ordinary line of an ordinary message of ordinary length...\r\n"
        body = line * (size // len(line))
        head = f"From: good@good.example\r\n{MARK}: {token}\r\n{SIZE}: {len(body)}\r\n\r\n"
        return head.encode() + body


def send_all(group: SenderGroup) -> list[Outcome]:
    """Run all senders of a group concurrently; return the outcome of each message."""
    with ThreadPoolExecutor(group.senders) as threads:
        everyone = [Sender(group, number) for number in range(group.senders)]
        return [one for each in threads.map(Sender.run, everyone) for one in each]
