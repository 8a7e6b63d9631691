"""The recipe for SPF: pyspf, with the records of a real name server (NSD)."""

import importlib

import pytest
from tools import nsd, peers

from gatepost import Plugin
from gatepost.testing import play

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("packages"),
    # pyspf calls the old name of a function
    pytest.mark.filterwarnings("ignore:please use dns.resolver.resolve:DeprecationWarning"),
]
HEAD = "$TTL 60\n@ SOA ns.example. root.example. 1 60 60 60 60\n@ NS ns.example.\n"
ZONES = {
    "example": HEAD
    + """
strict  TXT "v=spf1 ip4:192.0.2.7 -all"
soft    TXT "v=spf1 ~all"
wrong   TXT "v=spf1 nonsense"
plain   A   192.0.2.1
""",
    "broken.example": None,
}
DIALOGUE = """
    S: 220
    C: EHLO strict.example
    S: 250
    C: MAIL FROM:<{sender}>
    S: {reply}
"""


class Results(Plugin):
    """Keeps the results of a message."""

    found = None

    def after_mail(self, tx, _sender, _outcome):
        self.found = tx.results.value("spf")


@pytest.fixture(scope="module")
def plugin(packages, tmp_path_factory):
    """The plugin, with a name server of the test as that of the system."""
    resolver = importlib.import_module("dns.resolver")
    try:
        with (
            nsd.running(tmp_path_factory.mktemp("nsd"), ZONES) as port,
            pytest.MonkeyPatch.context() as patch,
        ):
            made = resolver.Resolver(configure=False)
            made.nameservers, made.port = ["127.0.0.1"], port
            patch.setattr(resolver, "default_resolver", made)
            yield importlib.import_module("examples.spf_check").SpfCheck()
    except peers.UnavailableError as error:
        pytest.skip(f"nsd is missing: {error}")


@pytest.mark.parametrize(
    ("sender", "client", "reply", "result"),
    [
        ("a@strict.example", "192.0.2.7", "250", "pass"),
        ("a@strict.example", "192.0.2.8", "550 5.7.1 SPF result: fail", "fail"),
        ("", "192.0.2.7", "250", "pass"),
        ("", "192.0.2.8", "550 5.7.1 SPF result: fail", "fail"),
        ("a@soft.example", "192.0.2.8", "250", "softfail"),
        ("a@plain.example", "192.0.2.8", "250", "none"),
        ("a@wrong.example", "192.0.2.8", "250", "permerror"),
        ("a@gone.example", "192.0.2.8", "250", "none"),
        ("a@x.broken.example", "192.0.2.8", "450 4.7.1 SPF result: temperror", "temperror"),
    ],
)
def test_the_result_decides(plugin, sender, client, reply, result):
    results = Results()
    play(DIALOGUE.format(sender=sender, reply=reply), [plugin, results], peer=(client, 1))
    assert results.found == result
