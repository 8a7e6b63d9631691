"""Good senders: smtplib in threads of a process of their own, each message with a token.

They behave as mail servers do: wait for answers, send a few messages on a connection, some under
STARTTLS, come from addresses of their own. They do not try again, so that each token is sent once.
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

# Long enough for a worker to be replaced meanwhile, short enough for a run to end.
PATIENCE = 60.0
_SIZES = (200, 2_000, 4_000, 4_000, 20_000, 300_000)


# The server's certificate is made for the run.
_ANYBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANYBODY.check_hostname = False
_ANYBODY.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class SenderGroup:
    """Who sends: so many at a time, until `until` (time.time()); `tls` as share of connections."""

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
    """One of them."""

    group: SenderGroup
    number: int
    count: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.group.seed}-{self.number}")

    def run(self) -> list[Outcome]:
        """Send until the time is over."""
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
                client.starttls(context=_ANYBODY)
            yield client

    def _send(self, client: smtplib.SMTP) -> None:
        self.count += 1
        token = f"{self.group.seed}-{self.number}-{self.count}"
        content = self._content(token)
        begun = time.monotonic()
        try:
            client.sendmail("good@good.example", [self.group.recipient], content)
        except smtplib.SMTPResponseException as error:
            self._note(token, error.smtp_code, begun)
            raise
        except smtplib.SMTPRecipientsRefused as error:
            [(code, _)] = error.recipients.values()
            self._note(token, code, begun)
            raise
        except (OSError, smtplib.SMTPException):
            self._note(token, 0, begun)
            raise
        self._note(token, 250, begun)

    def _note(self, token: str, code: int, begun: float) -> None:
        seconds = time.monotonic() - begun
        self.outcomes.append(Outcome(token, answer_of(code), code, seconds, time.time()))

    def _content(self, token: str) -> bytes:
        size = self.chance.choice(_SIZES)
        line = b"An ordinary line of an ordinary message, as long as they are.\r\n"
        body = line * (size // len(line))
        head = f"From: good@good.example\r\n{MARK}: {token}\r\n{SIZE}: {len(body)}\r\n\r\n"
        return head.encode() + body


def send_all(group: SenderGroup) -> list[Outcome]:
    """Have all of them send at once; return what came of each message."""
    with ThreadPoolExecutor(group.senders) as threads:
        everyone = [Sender(group, number) for number in range(group.senders)]
        return [one for each in threads.map(Sender.run, everyone) for one in each]
