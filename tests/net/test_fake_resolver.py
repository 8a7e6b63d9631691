"""The resolver for tests gives its fixed answers, and the errors of a real one."""

import asyncio

import pytest

from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.testing import FakeResolver

DNS = FakeResolver(
    {"mail.example": [(10, "mx.example")]},
    {"both.example": ["192.0.2.1", "2001:db8::1"], "mx.example": "192.0.2.2"},
    ["down.example", "192.0.2.99", "down.bl.example"],
    a={"a.example": "192.0.2.3", "7.2.0.192.bl.example": ["127.0.0.2"]},
    aaaa={"A.example.": ["2001:db8::3"]},
    txt={"bücher.example": "v=spf1 -all"},
    ptr={"192.0.2.1": "both.example", "2001:db8::1": ["both.example"]},
)


def test_the_questions_are_recorded():
    dns = FakeResolver(txt={"a.example": "x"}, fail=["down.example"])

    async def run():
        await dns.txt("A.example")
        await asyncio.gather(
            dns.listed("192.0.2.1", "bl.example"), dns.mx("down.example"), return_exceptions=True
        )

    asyncio.run(run())
    assert dns.asked == ["TXT a.example", "A 1.2.0.192.bl.example", "MX down.example"]


def ask(method, *arguments):
    return asyncio.run(getattr(DNS, method)(*arguments))


@pytest.mark.parametrize(
    ("method", "name", "answer"),
    [
        ("mx", "MAIL.example", [(10, "mx.example")]),
        ("mx", "a.example", []),
        ("a", "a.example", ["192.0.2.3"]),
        ("a", "both.example", ["192.0.2.1"]),
        ("aaaa", "both.example", ["2001:db8::1"]),
        ("aaaa", "a.example", ["2001:db8::3"]),
        ("aaaa", "mail.example", []),
        ("addresses", "both.example", ["2001:db8::1", "192.0.2.1"]),
        ("addresses", "mx.example", ["192.0.2.2"]),
        ("txt", "xn--bcher-kva.example", ["v=spf1 -all"]),
        ("ptr", "192.0.2.1", ["both.example"]),
        ("ptr", "2001:DB8::1", ["both.example"]),
    ],
)
def test_answers(method, name, answer):
    assert ask(method, name) == answer


def test_dns_lists_are_a_records():
    assert ask("listed", "192.0.2.7", "bl.example") == ["127.0.0.2"]
    assert ask("listed", "192.0.2.8", "bl.example") is None
    with pytest.raises(ResolveError):
        ask("listed", "down", "bl.example")


@pytest.mark.parametrize(
    ("method", "name"), [("a", "gone.example"), ("txt", "gone.example"), ("ptr", "192.0.2.77")]
)
def test_other_names_do_not_exist(method, name):
    with pytest.raises(NoSuchNameError):
        ask(method, name)


@pytest.mark.parametrize(("method", "name"), [("a", "DOWN.example"), ("ptr", "192.0.2.99")])
def test_names_that_fail(method, name):
    with pytest.raises(ResolveError):
        ask(method, name)
