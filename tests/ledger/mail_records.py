"""Records of a morning, as workers make them, and strategies for records with any text."""

from datetime import timedelta, timezone

from hypothesis import strategies as st

from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    Gap,
    Notice,
    PluginResult,
    RecipientRecord,
    Transaction,
    Trap,
)

ZONE = timezone(timedelta(hours=1))
MORNING = 1_795_939_200.0  # 2026-11-29 09:00 in ZONE

GOOD = Client("192.0.2.7", 40412, "mail.example.org", "mail.example.org", "TLSv1.3")
BOT = Client("203.0.113.9", 4711, helo="friend")

SPOILED = Transaction(
    MORNING,
    "ebebdad2-1.1",
    "ebebdad2-1",
    BOT,
    "offers@client.example",
    result="refused",
    by="gatepost",
    reason="trap",
    reply="554 5.7.1 Message refused by local policy [ebebdad2-1.1]",
    seconds=1.2,
    recipients=(
        RecipientRecord("bob@example.com", reply="250 2.1.5 Recipient ok"),
        RecipientRecord("trap@example.com", reply="250 2.1.5 Recipient ok"),
    ),
    recipients_count=2,
    answers=(
        Answer(
            "data",
            "gatepost",
            "deny",
            "trap",
            "554 5.7.1 Message refused by local policy [ebebdad2-1.1]",
        ),
    ),
    traps=(Trap("trap@example.com", "trap@example.com", "verybadrcptto", 12, "contact page"),),
    traps_count=1,
)
SPOILED_CONNECTION = Connection(
    MORNING - 1, "ebebdad2-1", BOT, 2.5, "quit", faults=1, transactions=1, received=312, sent=640
)
GREYLISTED = Transaction(
    MORNING + 60,
    "ebebdad2-2.1",
    "ebebdad2-2",
    Client("2001:db8:85a3::8a2e:370:7334", helo="mailing.example.net"),
    "newsletter-bounces@mailing.example.net",
    result="deferred",
    by="greylist",
    reason="greylisted",
    reply="451 4.7.1 Try again later [ebebdad2-2.1]",
    recipients=(RecipientRecord("bob@example.com", "deferred"),),
    recipients_count=1,
    answers=(
        Answer(
            "rcpt",
            "greylist",
            "defer",
            "greylisted",
            "451 4.7.1 Try again later [ebebdad2-2.1]",
            "bob@example.com",
            0.0041,
        ),
    ),
)
ACCEPTED = Transaction(
    MORNING + 120,
    "ebebdad2-3.1",
    "ebebdad2-3",
    GOOD,
    "alice@example.org",
    result="accepted",
    reply="250 2.0.0 Ok, ebebdad2-3.1",
    seconds=0.25,
    recipients=(RecipientRecord("bob@example.com", reply="250 2.1.5 Recipient ok"),),
    recipients_count=1,
    size=3123,
    message_id="<1234@mail.example.org>",
    subject="Invoice 42",
)
RETRIED = Delivery(
    MORNING + 121,
    "ebebdad2-3.1",
    "lmtp://127.0.0.1:24",
    "deferred",
    ("bob@example.com",),
    1,
    "451 4.3.0 Temporary failure",
    sender="alice@example.org",
)
DELIVERED = Delivery(
    MORNING + 181,
    "ebebdad2-3.1",
    "lmtp://127.0.0.1:24",
    "delivered",
    ("bob@example.com",),
    1,
    "250 2.0.0 Saved",
    sender="alice@example.org",
)
CROWDED = Connection(
    MORNING + 200,
    "ebebdad2-4",
    BOT,
    end="connections_per_ip",
    reply="421 4.7.0 Too many connections, try again later [ebebdad2-4]",
)
RELOADED = Notice(MORNING + 210, "reloaded", "smtp=127.0.0.1:2525")
MISSING = Gap(MORNING + 220, MORNING + 215, 12, "the disk was full")
RECORDS = (
    SPOILED,
    SPOILED_CONNECTION,
    GREYLISTED,
    ACCEPTED,
    RETRIED,
    DELIVERED,
    CROWDED,
    RELOADED,
    MISSING,
)

# Any text, and often one that would act on a terminal, in JSON or in HTML.
TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        "\x1b[31m\x1b]0;title\x07",
        "a\r\nb\u2028c",
        "\u202egnp.exe",
        "\x9b2J\x7f",
        "<script>alert(1)</script>",
        "'\" onload=x &lt; -->",
        "\U0001f600\u4e16\u754c" * 10,
        "e\u0301\u0301",
        "x" * 600,
    ]
)
TIMES = st.floats() | st.floats(0, 4e9)
_COUNTS = st.integers(0, 2**40)
_VERDICTS = st.sampled_from(["accept", "deny", "defer"])
_RESULTS = st.sampled_from(["accepted", "refused", "deferred", "abandoned"])
_ATTEMPTS = st.sampled_from(["delivered", "deferred", "bounced", "held", "damaged"])


def _few(strategy):
    return st.lists(strategy, max_size=3)


_MAPS = st.dictionaries(TEXTS, TEXTS, max_size=2)
CLIENTS = st.builds(Client, *[TEXTS, _COUNTS, *[TEXTS] * 10], xclient=_MAPS)
_SECONDS = st.floats(0, 1e9)
ANSWERS = st.builds(Answer, TEXTS, TEXTS, _VERDICTS, TEXTS, TEXTS, TEXTS, _SECONDS, st.booleans())
TRAPS = st.builds(Trap, TEXTS, TEXTS, TEXTS, _COUNTS, TEXTS)
FOUND = st.builds(PluginResult, TEXTS, TEXTS, TIMES, TEXTS, _MAPS)
RECIPIENTS = st.builds(RecipientRecord, TEXTS, _RESULTS, TEXTS, TEXTS, st.booleans())
CONNECTIONS = st.builds(
    Connection,
    *[TIMES, TEXTS, CLIENTS, TIMES, TEXTS, TEXTS, TEXTS, _few(ANSWERS)],
    *[_COUNTS] * 5,
)
TRANSACTIONS = st.builds(
    Transaction,
    *[TIMES, TEXTS, TEXTS, CLIENTS, TEXTS, _RESULTS, TEXTS, TEXTS, TEXTS, TIMES],
    *[_few(RECIPIENTS), _COUNTS, _COUNTS, TEXTS, TEXTS, TEXTS, _few(ANSWERS)],
    *[_few(TRAPS), _COUNTS, st.booleans(), _few(FOUND), TIMES, _few(TEXTS)],
    *[_few(TEXTS), _MAPS],
    *[TEXTS, TEXTS],
    replaced=_few(TEXTS),
)
DELIVERIES = st.builds(
    Delivery, TIMES, TEXTS, TEXTS, _ATTEMPTS, _few(TEXTS), _COUNTS, TEXTS, TEXTS, TEXTS
)
NOTICES = st.builds(Notice, TIMES, TEXTS, TEXTS, TEXTS)
GAPS = st.builds(Gap, TIMES, TIMES, _COUNTS, TEXTS)
ANY_RECORD = CONNECTIONS | TRANSACTIONS | DELIVERIES | NOTICES | GAPS
