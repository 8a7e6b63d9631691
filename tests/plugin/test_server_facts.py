"""The facts about a server that its plugins can read."""

import pytest

from gatepost import Plugin, ServerFacts
from gatepost.testing import play


@pytest.mark.parametrize(
    ("domain", "local"),
    [
        ("example.com", True),
        ("EXAMPLE.com.", True),
        ("a.sub.example", True),
        ("sub.example", False),
        ("b\xfccher.example", True),
        ("elsewhere.example", False),
        ("[192.0.2.1]", False),
        ("", False),
    ],
)
def test_a_domain_of_the_configuration_is_local(domain, local):
    plugin = Plugin()
    domains = ["example.com", ".sub.example", "xn--bcher-kva.example"]
    play("S: 220", [plugin], config={"recipients": {"domains": domains}})
    assert plugin.server.is_local(domain) is local


def test_without_a_server_no_domain_is_local():
    assert not ServerFacts().is_local("example.com")
