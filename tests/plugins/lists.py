"""DNS lists and dialogues for the tests of the plugins that ask them."""

from ipaddress import ip_address

from gatepost.testing import FakeResolver

HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""
MAIL = """
    C: MAIL FROM:<a@sender.example>
    S: 250
"""
RCPT = """
    C: RCPT TO:<user@example.com>
    S: 250
"""
MESSAGE = r"""
    C: DATA
    S: 354
    C: Subject: hello
    C:
    C: text
    C: .
    S: 250
"""
CLIENT = ("198.51.100.7", 50000)
CLIENT_6 = ("2001:db8::7", 50000)


def entry(what, zone):
    """Return the name of an entry."""
    try:
        labels = ip_address(what).reverse_pointer.rsplit(".", 2)[0]
    except ValueError:
        labels = what
    return f"{labels}.{zone}"


def address_lists(zones, **more):
    """Return a resolver with lists of addresses: zone -> {address: answers}."""
    return _lists(zones, "127.0.0.2", **more)


def domain_lists(zones, **more):
    """Return a resolver with lists of domains: zone -> {domain: answers}."""
    return _lists(zones, "test", **more)


def _lists(zones, test, **more):
    records = {
        entry(what, zone): answers
        for zone, entries in zones.items()
        for what, answers in {test: "127.0.0.2", **entries}.items()
    }
    return FakeResolver(a=records, **more)


def asked(resolver):
    """Return the names whose addresses a resolver was asked for."""
    return [one.removeprefix("A ") for one in resolver.asked]
