"""Routes of recipients from tables, and by subaddress."""

import pytest
from tests.plugins.envelopes import message_of, sent

from gatepost import Plugin
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins.aliases import Aliases
from gatepost.plugins.routes import Routes
from gatepost.testing import MemoryTable


def chosen(*plugins, to="ann@example.com", **options):
    return message_of(*plugins, to=[to], **options).routes


@pytest.mark.parametrize(
    ("options", "to", "expected"),
    [
        ({"routes": {"ann@example.com": "pager"}}, "Ann+x@example.com", "pager"),
        ({"routes": {"@example.com": "pager"}}, "ann@example.com", "pager"),
        (
            {"routes": {"ann+x@example.com": "archive", "@example.com": "pager"}},
            "ann+x@example.com",
            "archive",
        ),
        ({"routes": {"bob@example.com": "pager"}}, "ann@example.com", None),
        ({"tags": {"Old": "archive"}}, "ann+old@example.com", "archive"),
        ({"tags": {"old": "archive"}}, "ann+new@example.com", None),
        ({"tags": {"old": "archive"}, "any_tag": "pager"}, "ann+new@example.com", "pager"),
        ({"any_tag": "pager"}, "ann@example.com", None),
        ({"routes": {"@example.com": "pager"}, "any_tag": "archive"}, "ann+x@example.com", "pager"),
    ],
)
def test_the_route_follows_the_address_and_then_the_subaddress(options, to, expected):
    found = chosen(Routes(**options), to=to)
    assert found == ({} if expected is None else {to: expected})


def test_members_of_an_alias_have_routes_of_their_own():
    tables = {
        "memory:a": MemoryTable({"team@example.com": "ann, bob"}),
        "memory:r": MemoryTable({"bob@example.com": "pager"}),
    }
    plugins = Routes(tables=["memory:r"]), Aliases(tables=["memory:a"])
    assert chosen(*plugins, to="team@example.com", tables=tables) == {"bob@example.com": "pager"}


def test_the_route_of_an_alias_is_that_of_its_members():
    tables = {"memory:a": MemoryTable({"team@example.com": "ann"})}
    plugins = Routes(routes={"team@example.com": "pager"}), Aliases(tables=["memory:a"])
    assert chosen(*plugins, to="team@example.com", tables=tables) == {"ann@example.com": "pager"}


def test_a_table_with_a_route_that_does_not_exist_defers():
    tables = {"memory:r": MemoryTable({"ann@example.com": "none"})}
    reply = "451 4.3.5 No route for this recipient*"
    played = sent(Routes(tables=["memory:r"]), tables=tables, rcpt=reply)
    assert played.metrics.value("gatepost_plugin_routes_failed") == 1


def test_a_member_with_such_a_route_defers_the_message():
    class Replace(Plugin):
        def on_rcpt(self, tx, rcpt):
            tx.replace_recipient(rcpt, ["bob@example.com"])

    tables = {"memory:r": MemoryTable({"bob@example.com": "none"})}
    end = "250\n    C: DATA\n    S: 451 4.3.5 No route for this recipient*"
    sent(Routes(tables=["memory:r"]), Replace(), tables=tables, rcpt=end)


def test_routes_are_counted_and_in_shadow_mode_not_chosen():
    options = {"routes": {"@example.com": "pager"}}
    played = sent(Routes(**options))
    assert played.metrics.value("gatepost_plugin_routes_chosen", route="pager") == 1
    assert chosen(Routes(**options), shadow=True) == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "expected tables, routes, tags or any_tag"),
        ({"routes": {"a b@x": "pager"}}, "expected local-part@domain"),
    ],
)
def test_wrong_options_are_errors(options, problem):
    with pytest.raises(OptionsError, match=problem):
        Routes(**options)


def test_a_route_that_does_not_exist_is_an_error_at_start():
    with pytest.raises(ValueError, match="found 'none': no route has a name"):
        Routes(any_tag="none").start()
