"""A server as a gateway has it: all plugins of the policy, with a name server and a store to break.

The options are the hardest ones: whatever a plugin finds against a message is refused permanently.
Only what a plugin does without an answer has its default. So a reply 5xx to good mail proves that a
fault was taken for an answer.
"""

import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path

from tests.net.name_server import NameServer, a, mx, txt, wire_name
from tests.plugins import signing
from tests.plugins.states import Login

from gatepost.ledger.records import Transaction
from gatepost.ledger.words.explain import explain
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.story import story_of
from gatepost.net.cached_resolver import CachedResolver
from gatepost.net.inline import need_task
from gatepost.net.questions import ABSENT, Answer, found
from gatepost.net.resolver import AnsweringResolver, DnsResolver
from gatepost.plugin.base import Installed
from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place
from gatepost.testing import MemoryServer, VirtualClock

CLIENT = ("198.51.100.7", 50000)
INSIDE = ("10.1.2.3", 50000)
LISTS = [f"bl{number}.example" for number in range(1, 5)]
ALLOW = "wl.example"
DOMAIN_LIST = "rh.example"

SUITE = Path(__file__).parents[1] / "suites/arc-valimail/arc-draft-validation-tests.json"
_ARC = json.loads(SUITE.read_text("utf-8"))[0]
# A message that a forwarder has changed and sealed; its author's domain asks to refuse such mail.
FORWARDED = _ARC["tests"]["cv_pass_i1_1"]["message"].replace("\n", "\r\n").encode()
SIGNED, UNSIGNED = signing.message(), signing.message(signer="")

ANSWERS = {
    ("client.example", "MX"): [(10, "mail.client.example")],
    ("client.example", "TXT"): ["v=spf1 a:mail.client.example -all"],
    ("mail.client.example", "A"): ["198.51.100.7"],
    ("7.100.51.198.in-addr.arpa", "PTR"): ["mail.client.example"],
    ("_dmarc.client.example", "TXT"): ["v=DMARC1; p=reject"],
    ("s1._domainkey.client.example", "TXT"): [signing.record()],
    ("_dmarc.d1.example.org", "TXT"): ["v=DMARC1; p=reject"],
    **{(name, "TXT"): [text] for name, text in _ARC["txt-records"].items()},
    **{(f"2.0.0.127.{zone}", "A"): ["127.0.0.2"] for zone in (*LISTS, ALLOW)},
    (f"test.{DOMAIN_LIST}", "A"): ["127.0.0.2"],
}
NAMES = {name for name, _ in ANSWERS}
WIRE = {"A": a, "MX": lambda pair: mx(*pair), "TXT": txt, "PTR": wire_name}
RECORDS = {key: [WIRE[key[1]](one) for one in records] for key, records in ANSWERS.items()}

AUTH = {"auth": {"clear": True}, "listen": [{}, {"name": "auth", "auth": True}]}

DENY = "deny"
OPTIONS = {
    "iprev": {"missing": DENY, "unconfirmed": DENY, "generic": DENY},
    "helo": {"unresolved": DENY, "invalid": DENY, "changed": "none"},
    "dnswl": {"zones": [ALLOW]},
    "dnsbl": {"zones": LISTS},
    "rhsbl": {"zones": [DOMAIN_LIST]},
    "spf": {"fail": DENY, "softfail": DENY, "neutral": DENY, "none": DENY, "permerror": DENY},
    "sender_domain": {"dangling": DENY},
    "reputation": {},
    "greylist": {"learn": "1h"},
    "rate_limit": {"rules": [{"name": "each", "by": ["address"], "rate": "1000/1h"}]},
    "concurrency": {"rules": [{"name": "each", "by": ["address"], "most": 1000}]},
    "dkim": {"fail": DENY},
    "arc": {"trusted": ["example.org"]},
    "dmarc": {"reject": DENY, "quarantine": DENY, "permerror": DENY},
    "score": {"deny": 1.0, "mark": 0.0},
}


def plugin(name, **options):
    made = load_plugin(name, {**OPTIONS[name], **options}, place=Place())
    return Installed(made)


class Answers(AnsweringResolver):
    """A resolver in memory with the same records; questions about names in `failing` fail."""

    def __init__(self, failing=()):
        self._failing = failing

    async def answer(self, kind, key):
        await need_task()
        await asyncio.sleep(0)
        if key in self._failing:
            return Answer("failed", (), "broken")
        if key not in NAMES:
            return ABSENT
        return found(ANSWERS.get((key, kind), ()))


def events(logs):
    """Count the warnings and errors by their event."""
    return Counter(one["event"] for one in logs if one["log_level"] in ("warning", "error"))


class Gateway:
    """The server: `dns` is its name server, `log` has the events of its log, `records` its records.

    `timeout` is that of a question in seconds. `options` replace those of plugins by name.
    """

    def __init__(self, *, store=None, timeout=20.0, fault=None, **options):
        self.dns = NameServer(RECORDS, complete=True)
        self.dns.fault = fault
        self.records = []
        self._store = store
        self._timeout = timeout
        self._options = options

    async def __aenter__(self):
        self._stack = contextlib.AsyncExitStack()
        address = await self._stack.enter_async_context(self.dns.serving())
        self.resolver = CachedResolver(DnsResolver([address], self._timeout, tries=1))
        self._stack.push_async_callback(self.resolver.close)
        plugins = [plugin(name, **self._options.get(name, {})) for name in OPTIONS]
        self.server = MemoryServer(
            [*plugins, Login()],
            config=AUTH,
            clock=VirtualClock("2024-01-01"),
            resolver=self.resolver,
            store=self._store,
            records=self.records.append,
        )
        await self._stack.enter_async_context(self.server)
        return self

    async def __aexit__(self, *exc):
        await self._stack.aclose()

    async def send(self, content=SIGNED, *, peer=CLIENT, login=False, rcpt="user@example.com"):
        """Send a message; return the replies, the last one is that which decides."""
        client = self.server.connect(peer, listen="auth" if login else "")
        try:
            await client.reply()
            auth = ["AUTH PLAIN AEFsaWNlAHNlY3JldA=="] if login else []
            envelope = ("MAIL FROM:<a@client.example>", f"RCPT TO:<{rcpt}>", "DATA")
            for command in ("EHLO mail.client.example", *auth, *envelope):
                client.send(f"{command}\r\n".encode())
                if (await client.reply())[:1] in ("", "4", "5"):
                    return client.replies
            client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            await client.reply()
            return client.replies
        finally:
            await client.close()

    def results(self):
        """Return what plugins have found about the last message, by name."""
        found = [one for one in self.records if type(one) is Transaction][-1]
        return {one.name: one.value for one in found.results}

    def explained(self):
        """Return what `gatepost explain` prints about the last message."""
        found = [one for one in self.records if type(one) is Transaction][-1]
        return "\n".join(map(plain, explain(story_of(found.ref, self.records))))
