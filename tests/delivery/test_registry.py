"""Targets and routes from the configuration."""

import asyncio
import importlib
import sys
from pathlib import Path

import pytest
from tests.delivery.samples import delivery, recipient

from gatepost.config.schema import MaildirConfig, PipeConfig, RouteConfig
from gatepost.delivery import discard
from gatepost.delivery.discard import DiscardTarget
from gatepost.delivery.maildir.maildir import MaildirTarget
from gatepost.delivery.maildir.maildirsize import QuotaLimits, parse
from gatepost.delivery.registry import (
    BUILT_IN,
    OPTIONS_TABLES,
    RouteConfigError,
    TargetRegistry,
    make_router,
    make_target,
)
from gatepost.delivery.target import Target

WHERE = {"base": Path("/srv"), "hostname": "mx.example.com"}


def problem(to, **more):
    """Return the error about a route that cannot be used."""
    with pytest.raises(ValueError) as caught:
        make_target(RouteConfig(to=to, **more), **WHERE)
    return str(caught.value)


def test_discard_returns_without_an_awaitable():
    target = make_target(RouteConfig(to="discard:"), **WHERE)
    assert isinstance(target, DiscardTarget)
    assert target.deliver(delivery(recipient("a@example.com"))) is None


def test_fields_of_a_maildir_are_replaced():
    target = make_target(RouteConfig(to="maildir:mail/{domain}/{local}"), **WHERE)
    assert isinstance(target, MaildirTarget)
    assert target.folder(recipient("a@example.com")) == Path("/srv/mail/example.com/a")
    assert target.folder(recipient("postmaster")) == Path("/srv/mail/mx.example.com/postmaster")


def test_folder_and_quota_of_a_maildir_come_from_its_table(tmp_path):
    options = MaildirConfig(folder=".Junk", quota=1000, quota_messages=10)
    route = RouteConfig(to="maildir:{local}", maildir=options)
    target = make_target(route, base=tmp_path, hostname="mx.example.com")
    assert asyncio.run(target.deliver(delivery(recipient("a@example.com")))) is None
    assert len(list(tmp_path.glob("a/.Junk/new/*"))) == 1
    assert parse((tmp_path / "a/maildirsize").read_bytes()).limits == QuotaLimits(1000, 10)


@pytest.mark.parametrize("scheme", BUILT_IN)
def test_every_built_in_target_can_be_imported(scheme):
    found = TargetRegistry().find(scheme)
    assert issubclass(found, Target)
    assert found.options_table in {"", *OPTIONS_TABLES}


def test_every_table_of_options_belongs_to_a_target():
    tables = {TargetRegistry().find(scheme).options_table for scheme in BUILT_IN}
    assert tables - {""} == {*OPTIONS_TABLES}


@pytest.mark.parametrize(
    ("url", "final"),
    [
        ("maildir:m", True), ("file:f", True), ("pipe:/bin/true", True), ("discard:", True),
        ("lmtp://h", True), ("smtp://h", False), ("smtps://h", False), ("mx:", False),
        ("sendmail:/bin/true", False), ("qmail-queue:/bin/true", False),
    ],
)  # fmt: skip
def test_final_delivery(url, final):
    (route,) = make_router([RouteConfig(to=url)], **WHERE).routes
    assert route.target.final_delivery is final


ALL = "expected one of " + ", ".join(f"{one}:" for one in BUILT_IN)


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("xyz:x", f'to: unknown target "xyz:", {ALL}'),
        ("maildr:x", 'to: unknown target "maildr:", did you mean "maildir:"?'),
        ("qmail:x", 'to: unknown target "qmail:", did you mean "maildir:"?'),
        ("mx:x", "to: target 'mx:x': expected nothing after the colon, found 'x'"),
        (
            "smtp:host",
            "to: target 'smtp:host': expected //HOST or //HOST:PORT after smtp:, found 'host'",
        ),
        (
            "lmtp://h:0",
            (
                "to: target 'lmtp://h:0': expected //HOST or //HOST:PORT or unix:PATH after lmtp:,"
                " found '//h:0'"
            ),
        ),
        (
            "pipe:cat",
            (
                "to: target 'pipe:cat': expected the path of a program such as /usr/bin/prog,"
                " found 'cat'"
            ),
        ),
        ("discard:x", "to: target 'discard:x': expected nothing after the colon, found 'x'"),
        (
            "maildir:{x}",
            "to: target 'maildir:{x}': expected one of {local}, {user}, {domain}, {tag}, found {x}",
        ),
    ],
)
def test_a_target_that_cannot_be_used_is_refused(to, error):
    assert problem(to) == error


@pytest.mark.parametrize(
    ("to", "options", "error"),
    [
        (
            "discard:",
            {"pipe": PipeConfig(timeout=1.0)},
            "pipe: not for discard: targets, expected no table of options",
        ),
        (
            "pipe:/bin/cat",
            {"maildir": MaildirConfig(folder=".Junk")},
            "maildir: not for pipe: targets, expected pipe",
        ),
    ],
)
def test_options_for_another_kind_of_target_are_refused(to, options, error):
    assert problem(to, **options) == error


def test_routes_with_one_url_and_different_options_have_separate_targets():
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
        (MaildirTarget, [people[0], people[2]]),
        (DiscardTarget, [people[1]]),
    ]


def test_all_unusable_routes_are_reported_with_their_keys():
    routes = [RouteConfig(to="discard:x"), RouteConfig(to="discard:"), RouteConfig(to="smpt://h")]
    with pytest.raises(RouteConfigError) as caught:
        make_router(routes, **WHERE)
    assert caught.value.problems == [
        "route[0].to: target 'discard:x': expected nothing after the colon, found 'x'",
        'route[2].to: unknown target "smpt:", did you mean "smtp:"?',
    ]


class Recorder(Target):
    """Records what is called."""

    def __init__(self, text):
        self.calls = [text]

    @classmethod
    def from_route(cls, spec):
        return cls(spec.text)

    async def start(self):
        self.calls.append("start")

    async def stop(self):
        self.calls.append("stop")

    def deliver(self, delivery):
        self.calls.append(len(delivery.recipients))


def test_a_program_can_add_targets():
    routes = [
        RouteConfig(for_=["a.example"], to="record:x"),
        RouteConfig(for_=["*"], to="record:x"),
    ]
    router = make_router(routes, **WHERE, targets={"record": Recorder})

    async def run():
        await router.start()
        (route, share), *_ = router.split([recipient("b@b.example"), recipient("a@a.example")])
        route.target.deliver(delivery(*share))
        await router.stop()

    asyncio.run(run())
    assert router.routes[0].target is router.routes[1].target
    assert router.routes[0].target.calls == ["x", "start", 2, "stop"]


def test_the_defaults_of_a_target_cost_nothing():
    class Plain(Target):
        def deliver(self, delivery):
            return None

    (route,) = make_router([RouteConfig(to="plain:")], **WHERE, targets={"plain": Plain}).routes
    target, rcpt = route.target, recipient("a@example.com")
    assert (target.can_verify, target.final_delivery) == (False, True)
    assert asyncio.run(target.verify(None, rcpt)) is None
    assert route.destination(rcpt) == "plain:"
    assert [*target.paths(), *target.warnings()] == []


class Unfinished(Target):
    """Has no `deliver`."""


class Broken(Target):
    @classmethod
    def from_route(cls, spec):
        raise KeyError("x")

    def deliver(self, delivery):
        return None


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (Unfinished, "could not be made: TypeError("),
        (Broken, "could not be made: KeyError('x')"),
    ],
)
def test_a_target_that_cannot_be_made_is_a_problem_of_its_route(target, error):
    with pytest.raises(RouteConfigError) as caught:
        make_router([RouteConfig(to="own:")], **WHERE, targets={"own": target})
    assert str(caught.value).startswith(f"route[0].to: target 'own:': {error}")


TARGET = """
from gatepost import Delivery, Target

class FileList(Target):
    def __init__(self, text):
        self.path = text

    @classmethod
    def from_route(cls, spec):
        return cls(spec.base / spec.text)

    def deliver(self, delivery: Delivery) -> None:
        with self.path.open("ab") as file:
            file.writelines(delivery.message)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with entry points: a module, and a folder with its metadata."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, source, **points):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{scheme} = {value}\n" for scheme, value in points.items()]
        (info / "entry_points.txt").write_text("[gatepost.targets]\n" + "".join(lines))
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


def test_a_package_adds_a_target(install, tmp_path):
    install("listing", TARGET, listing="listing:FileList")
    target = make_target(RouteConfig(to="listing:all"), base=tmp_path, hostname="h")
    target.deliver(delivery(recipient("a@example.com")))
    assert (tmp_path / "all").read_bytes() == b"Subject: x\r\n\r\nHello\r\n"
    assert "listing" in TargetRegistry().schemes


def test_a_misspelt_target_of_a_package_is_suggested(install):
    install("listing", TARGET, listing="listing:FileList")
    assert problem("lisitng:x").endswith('did you mean "listing:"?')


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("absent_module:X", 'target "own:" of bad (absent_module:X): import failed: Module'),
        ("bad:Missing", 'target "own:" of bad (bad:Missing): import failed: AttributeError('),
        ("bad:VALUE", "expected a class derived from gatepost.Target, found 5"),
        ("bad:dict", "expected a class derived from gatepost.Target, found <class 'dict'>"),
    ],
)
def test_a_broken_entry_point_is_a_problem_of_its_route(install, value, error):
    install("bad", "VALUE = 5\ndict = dict\n", own=value)
    assert problem("own:x").startswith(f"to: {error}")
    assert make_target(RouteConfig(to="discard:"), **WHERE)


def test_a_scheme_of_two_packages_is_refused(install):
    install("one", TARGET, own="one:FileList")
    install("two", TARGET, own="two:FileList")
    assert problem("own:x") == (
        'to: target "own:" exists more than once: one (one:FileList), two (two:FileList)'
    )
    assert make_target(RouteConfig(to="pipe:/bin/true"), **WHERE)


def test_a_package_cannot_replace_a_built_in_target(install):
    install("two", TARGET, discard="two:FileList")
    assert type(make_target(RouteConfig(to="discard:"), **WHERE)) is DiscardTarget


def test_a_scheme_of_a_package_and_of_the_program_is_refused(install):
    install("one", TARGET, own="one:FileList")
    with pytest.raises(RouteConfigError, match="more than once: this program, one"):
        make_router([RouteConfig(to="own:x")], **WHERE, targets={"own": Recorder})


def test_a_target_is_imported_when_a_route_names_it(monkeypatch):
    monkeypatch.delitem(sys.modules, discard.__name__)
    registry = TargetRegistry()
    assert discard.__name__ not in sys.modules
    registry.find("discard")
    assert discard.__name__ in sys.modules
