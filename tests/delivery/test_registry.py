"""Targets and routes from configured text."""

import asyncio
from pathlib import Path

import pytest
from tests.delivery.samples import delivery, recipient

from gatepost.config.schema import MaildirConfig as MaildirOptions
from gatepost.config.schema import PipeConfig, RouteConfig
from gatepost.delivery.discard import Discard
from gatepost.delivery.maildir.maildir import Maildir
from gatepost.delivery.maildir.maildirsize import Limits, parse
from gatepost.delivery.registry import TARGETS, make_router, make_target

WHERE = {"base": Path("/srv"), "hostname": "mx.example.com"}

EXPECTED = "expected a target that starts with " + " or ".join(f"{one}:" for one in TARGETS)


def test_discard_is_done_at_once():
    target = make_target(RouteConfig(to="discard:"), **WHERE)
    assert isinstance(target, Discard)
    assert target.deliver(delivery(recipient("a@example.com"))) is None


def test_maildir():
    target = make_target(RouteConfig(to="maildir:mail/{domain}/{local}"), **WHERE)
    assert isinstance(target, Maildir)
    assert target.folder(recipient("a@example.com")) == Path("/srv/mail/example.com/a")
    assert target.folder(recipient("postmaster")) == Path("/srv/mail/mx.example.com/postmaster")


def test_folder_and_quota_of_a_maildir(tmp_path):
    options = MaildirOptions(folder=".Junk", quota=1000, quota_messages=10)
    route = RouteConfig(to="maildir:{local}", maildir=options)
    target = make_target(route, base=tmp_path, hostname="mx.example.com")
    assert asyncio.run(target.deliver(delivery(recipient("a@example.com")))) is None
    assert len(list(tmp_path.glob("a/.Junk/new/*"))) == 1
    assert parse((tmp_path / "a/maildirsize").read_bytes()).limits == Limits(1000, 10)


@pytest.mark.parametrize(
    ("url", "hands_on"),
    [
        ("maildir:m", False), ("file:f", False), ("pipe:/bin/true", False), ("discard:", False),
        ("lmtp://h", False), ("smtp://h", True), ("smtps://h", True), ("mx:", True),
        ("sendmail:/bin/true", True), ("qmail-queue:/bin/true", True),
    ],
)  # fmt: skip
def test_where_mail_goes_on_and_where_it_has_arrived(url, hands_on):
    (route,) = make_router([RouteConfig(to=url)], **WHERE).routes
    assert route.hands_on is hands_on


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", f"{EXPECTED}, found ''"),
        ("discard", f"{EXPECTED}, found 'discard'"),
        ("mbox:x", f"{EXPECTED}, found 'mbox:x'"),
        ("Discard:", f"{EXPECTED}, found 'Discard:'"),
        ("mx:x", "target 'mx:x': expected nothing after the colon, found 'x'"),
        (
            "smtp:host",
            "target 'smtp:host': expected //HOST or //HOST:PORT after smtp:, found 'host'",
        ),
        (
            "lmtp://h:0",
            (
                "target 'lmtp://h:0': expected //HOST or //HOST:PORT or unix:PATH after lmtp:,"
                " found '//h:0'"
            ),
        ),
        (
            "pipe:cat",
            "target 'pipe:cat': expected the path of a program such as /usr/bin/prog, found 'cat'",
        ),
        ("discard:x", "target 'discard:x': expected nothing after the colon, found 'x'"),
        (
            "maildir:{x}",
            "target 'maildir:{x}': expected {local}, {domain} or {user}, found {x}",
        ),
    ],
)
def test_bad_targets(url, error):
    with pytest.raises(ValueError) as caught:
        make_target(RouteConfig(to=url), **WHERE)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("to", "options", "table", "scheme"),
    [
        ("discard:", {"pipe": PipeConfig(timeout=1.0)}, "pipe", "discard"),
        ("pipe:/bin/cat", {"maildir": MaildirOptions(folder=".Junk")}, "maildir", "pipe"),
    ],
)
def test_options_of_another_kind_of_target(to, options, table, scheme):
    with pytest.raises(ValueError) as caught:
        make_target(RouteConfig(to=to, **options), **WHERE)
    assert str(caught.value) == f"target {to!r}: the table {table} says nothing to {scheme}:"


def test_routes_with_one_url_and_other_options_have_targets_of_their_own():
    routes = [
        RouteConfig(for_=["a.example"], to="pipe:/bin/cat"),
        RouteConfig(for_=["b.example"], to="pipe:/bin/cat", pipe=PipeConfig(timeout=1.0)),
        RouteConfig(for_=["c.example"], to="pipe:/bin/cat", pipe=PipeConfig()),
    ]
    people = [recipient(f"x@{letter}.example") for letter in "abc"]
    split = make_router(routes, **WHERE).split(people)
    assert [share for _, share in split] == [[people[0], people[2]], [people[1]]]


def test_routes_with_one_url_share_a_target():
    urls = [(["a.example"], "maildir:x"), (["b.example"], "discard:"), (["*"], "maildir:x")]
    routes = [RouteConfig(for_=patterns, to=url) for patterns, url in urls]
    router = make_router(routes, **WHERE)
    people = [recipient(f"x@{letter}.example") for letter in "abc"]
    split = router.split(people)
    assert [(type(route.target), share) for route, share in split] == [
        (Maildir, [people[0], people[2]]),
        (Discard, [people[1]]),
    ]


def test_a_bad_url_in_a_route():
    with pytest.raises(ValueError, match=r"^expected a target that starts with"):
        make_router([RouteConfig(to="nowhere")], **WHERE)
