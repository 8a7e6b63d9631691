"""Messages whose canonical form is easy to get wrong, made from a number.

    message = made(7)
    message.octets          # header block, empty line and body, with CRLF
    message.domain          # d= in A-labels, and `selector` s=
    message.signed          # names for h=, with oversigned ones

The same number gives the same message on every machine. No bare CR, bare LF or NUL occurs, because
no client can send one to Gatepost.
"""

from random import Random
from typing import NamedTuple

DOMAINS = ("example.com", "mail.example.org", "xn--mnchen-3ya.example", "a.very.deep.example.net")
SELECTORS = ("s1", "2024-09.mail", "a_b", "x" * 63, "1", "ed-25519.k1")

_GAPS = (" ", "  ", "\t", " \t ", "\r\n ", "\r\n\t", " \r\n  ", "\t\r\n \t")
_WORDS = (
    *("we", "lost", "the", "game", "=?utf-8?q?=C3=A9t=C3=A9?=", "a;b=c", "x" * 70, "(comment)"),
    *("prix\u00a0500€", "日本語", "naïve", "b=", '"quoted  pair"', "100%", ".", ".."),
)
_ENDS = ("", " ", "\t", "  \t ")
_BODY_LINES = (
    *("", " ", "\t", " \t ", "text", "text ", "text\t", "two  blanks", " indented", "\tindented"),
    *("a\tb\t\tc", "  many    blanks     here  ", ".", "..dots", "8-bit: déjà vu", "=3D", "-- "),
    *("x" * 998, "y " * 400, "b=; bh=", "From here"),
)
_BODY_ENDS = ("\r\n", "", "\r\n\r\n", "\r\n" * 40, " \r\n", "\r\n \r\n\t\r\n", " ", "\t", " \t")


class Made(NamedTuple):
    """A message: `head` ends with the empty line, `signed` are the names for h=."""

    head: bytes
    body: bytes
    domain: str
    selector: str
    signed: tuple[str, ...]

    @property
    def octets(self) -> bytes:
        return self.head + self.body

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


def made(number: int) -> Made:
    """Return the message of a number."""
    random = Random(number)
    domain = random.choice(DOMAINS)
    fields = [f"From:{_text(random)}<a{number}@{domain}>", *_fields(random, domain)]
    random.shuffle(fields)
    names = [field.partition(":")[0] for field in fields]
    head = "".join(f"{field}\r\n" for field in fields) + "\r\n"
    return Made(
        head=head.encode(),
        body=_body(random).encode(),
        domain=domain,
        selector=random.choice(SELECTORS),
        signed=tuple(_signed(random, names)),
    )


def _fields(random: Random, domain: str):
    yield f"Date: Fri, {random.randint(1, 28)} Aug 2026 09:00:00 +0200"
    yield f"Message-ID:{random.choice(_GAPS)}<{random.getrandbits(40)}@{domain}>"
    yield f"subject:{_text(random)}{random.choice(_ENDS)}"
    if random.random() < 0.3:
        yield f"From: Another <b@{random.choice(DOMAINS)}>"
    for name in random.choices(
        ("To", "Cc", "Reply-To", "X-Odd!#$%&'*+", "x-Empty", "List-Id"), k=4
    ):
        yield f"{name}:{_text(random) if random.random() < 0.8 else ''}{random.choice(_ENDS)}"
    for hop in range(random.randint(0, 4)):
        yield f"Received: from h{hop}{random.choice(_GAPS)}by h{hop + 1};{random.choice(_GAPS)}now"


def _text(random: Random) -> str:
    words = random.choices(_WORDS, k=random.randint(1, 12))
    return "".join(random.choice(_GAPS) + word for word in words) + " "


def _body(random: Random) -> str:
    if random.random() < 0.1:
        return random.choice(("", "\r\n", "\r\n\r\n", " \r\n", " ", "\t\r\n\r\n"))
    lines = random.choices(_BODY_LINES, k=random.randint(1, 30))
    return "\r\n".join(lines) + random.choice(_BODY_ENDS)


def _signed(random: Random, names: list[str]):
    """Yield From, some of the other names, and some that are oversigned or absent."""
    some = [name for name in names if name == "From" or random.random() < 0.7]
    yield from (random.choice((name, name.upper(), name.lower())) for name in some)
    yield from random.choices(("From", "To", "Subject", "X-Absent", "Received"), k=3)
