"""Routes that plugins choose, and quarantine."""

from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import config, plugin
from tests.session.test_recipients import ONE, TWO, talk, transcript

from gatepost.config.schema import RouteConfig
from gatepost.delivery.discard import DiscardTarget
from gatepost.delivery.registry import RouteConfigError, make_router
from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.model.address import Address
from gatepost.model.decision import accept
from gatepost.model.session import Recipient
from gatepost.testing import play

ROUTES = config(
    route=[
        RouteConfig(for_=["example.com"], to="discard:"),
        RouteConfig(for_=[], to="discard:", name="junk"),
    ]
)


def test_a_plugin_chooses_the_route():
    def on_message(tx):
        tx.add_recipient("journal@example.com")
        tx.choose_route("junk")

    played, lines = talk("smtp", [ONE, TWO], ["250"], plugin(on_message=on_message), config=ROUTES)
    [message] = played.messages
    assert message.routes == {ONE: "junk", TWO: "junk"}
    [changed] = [line["changes"] for line in lines if line["event"] == "accepted"]
    assert changed[-1] == "route junk one@example.com, two@example.com (test)"


def test_a_plugin_chooses_the_route_of_some_recipients():
    """A recipient without any other route can be added by the name of one."""

    def on_rcpt(tx, rcpt):
        if rcpt.user == "one":
            tx.choose_route("junk", [rcpt])
            tx.replace_recipient(rcpt, ["a@example.com"])

    def on_message(tx):
        tx.add_recipient("copy@elsewhere.example", route="junk")

    plugins = plugin(on_rcpt=on_rcpt), plugin(on_message=on_message)
    played, _ = talk("lmtp", [ONE, TWO], ["250", "250"], *plugins, config=ROUTES)
    [message] = played.messages
    assert message.routes == {"a@example.com": "junk", "copy@elsewhere.example": "junk"}


def test_the_router_follows_the_choice():
    usual, junk = (Route(DiscardTarget(), "discard:", name=name) for name in ("", "junk"))
    router = Router([(["*"], usual), ([], junk)], hostname="mx.example.com")
    rcpt = Recipient(Address("a", "b.example"), {})
    chosen, gone = (Recipient(Address("a", "b.example"), {}, route=one) for one in ("junk", "old"))
    assert [router.route(one) for one in (rcpt, chosen, gone)] == [usual, junk, None]
    assert router.split([rcpt, chosen]) == [(usual, [rcpt]), (junk, [chosen])]


def test_the_names_of_routes_differ():
    routes = [
        RouteConfig(to="discard:", name="junk"),
        RouteConfig(for_=[], to="discard:", name="junk"),
    ]
    with pytest.raises((RouteConfigError, ValueError), match=r"route\[1\].name: 'junk'"):
        make_router(routes, base=Path(), hostname="mx.example.com")


@pytest.mark.parametrize(("protocol", "end"), [("smtp", ["250"]), ("lmtp", ["250", "250"])])
def test_a_message_is_quarantined(protocol, end):
    """No plugin takes it, whatever the order."""

    def on_message(tx):
        tx.quarantine("virus: Eicar")
        tx.quarantine("second reason")

    taken = []
    take = plugin(on_deliver=lambda _tx: taken.append(1) or accept())
    played, lines = talk(protocol, [ONE, TWO], end, plugin(on_message=on_message), take)
    [message] = played.messages
    assert (message.quarantined, taken, message.recipients) == ("virus: Eicar", [], [ONE, TWO])
    [changed] = [line["changes"] for line in lines if line["event"] == "accepted"]
    assert changed == ["held virus: Eicar (test)"]


def test_a_quarantined_message_without_a_queue_is_deferred(monkeypatch):
    from gatepost.session.setup import Setup

    monkeypatch.setattr(Setup, "spool", None)
    quarantine = plugin(on_data=lambda tx: tx.quarantine("odd"))
    _, lines = talk("smtp", [ONE], ["451 4.3.0 The message could not be stored [*]"], quarantine)
    assert "the queue does not run" in str(lines)


def test_a_plugin_in_shadow_mode_changes_nothing():
    def on_message(tx):
        tx.add_recipient("journal@example.com")
        tx.replace_recipient(tx.recipients[0], ["a@example.com"])
        tx.choose_route("junk")
        tx.quarantine("odd")

    made = plugin(on_message=on_message)
    shadow = msgspec.structs.replace(made, shadow=True)
    with capture_logs() as lines:
        played = play(transcript("smtp", [ONE], ["250"]), [shadow], config=ROUTES)
    [message] = played.messages
    assert (message.recipients, message.routes, message.quarantined) == ([ONE], {}, "")
    [changed] = [line["changes"] for line in lines if line["event"] == "accepted"]
    assert changed == [
        "not added journal@example.com (test)",
        "not replaced one@example.com by a@example.com (test)",
        "not route junk one@example.com (test)",
        "not held odd (test)",
    ]
