"""The setup of a configuration: everything that cannot be used is reported at the start."""

import pytest
from tests.session.dialogue import config, plugin

from gatepost.config.plugins import ConditionsConfig
from gatepost.config.schema import Config, PluginConfig, RecipientsConfig, RouteConfig, TrapsConfig
from gatepost.model.decision import accept
from gatepost.plugin.base import Plugin
from gatepost.plugin.scope import Conditions, Scope
from gatepost.session.assemble import SetupError, find_lists, install, load_lists, make_setup
from gatepost.testing import VirtualClock


def problems(made, plugins=()):
    with pytest.raises(SetupError) as caught:
        make_setup(made, find_lists(made), plugins)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_all_unusable_plugins_are_reported(tmp_path):
    uses = [PluginConfig(use="a.py"), PluginConfig(use="nobody")]
    found = problems(config(plugin=uses, base=tmp_path))
    assert found[0] == f"plugin {tmp_path}/a.py: no such file"
    assert found[1].startswith("plugin nobody: not found, expected ")


def test_method_of_an_unknown_hook_is_reported():
    found = problems(config(), [plugin(on_rcptt=lambda *_: accept())])
    assert len(found) == 1
    assert found[0].startswith(f"plugin test: {__file__}:")
    assert found[0].endswith(": on_rcptt is not a hook, did you mean on_rcpt?")


def test_contradicting_order_of_plugins_is_reported():
    first = type("First", (Plugin,), {"after": {"second"}})()
    second = type("Second", (Plugin,), {"after": {"first"}})()
    assert problems(config(), [first, second]) == [
        "before/after of these plugins contradict each other: first, second"
    ]


def test_invalid_route_is_reported():
    [found] = problems(config(route=[RouteConfig(for_=["not a domain"], to="discard:")]))
    assert found.startswith("route[0].for: ")


def test_all_unusable_targets_are_reported():
    routes = [RouteConfig(to="nowhere:x"), RouteConfig(to="maildir:")]
    found = problems(config(route=routes))
    assert [one.partition(":")[0] for one in found] == ["route[0].to", "route[1].to"]


def test_lists_are_read_from_files_and_inline(tmp_path):
    (tmp_path / "rcpthosts").write_text("example.net\n")
    (tmp_path / "users").write_text("two@example.com\n")
    made = Config(
        base=tmp_path,
        recipients=RecipientsConfig(
            domains=["example.com", "file:rcpthosts"], known=["one@example.com", "file:users"]
        ),
        route=[RouteConfig(to="discard:")],
    )
    lists = find_lists(made)
    load_lists(lists)
    setup = make_setup(made, lists)
    assert [setup.is_local(one) for one in ("example.com", "example.net", "x.example")] == [
        True,
        True,
        False,
    ]
    names = ("one@example.com", "two@example.com", "three@example.com")
    assert [setup.is_listed(one, one) for one in names] == [True, True, False]


def test_plugins_get_the_clock():
    clock, one = VirtualClock(), Plugin()
    make_setup(config(), find_lists(config()), [one], clock)
    assert one.clock is clock


def test_the_scope_of_a_plugin_has_canonical_domains():
    only = ConditionsConfig(authenticated=True, domains=["Example.COM"])
    installed = install(Plugin(), PluginConfig(use="x", listen=["mx"], only=only))
    conditions = Conditions(authenticated=True, domains=frozenset({"example.com"}))
    assert installed.scope == Scope(frozenset({"mx"}), conditions)
    assert install(Plugin(), PluginConfig(use="x")).scope is None


def test_an_entry_with_a_colon_is_a_table_only_among_recipients():
    made = Config(
        recipients=RecipientsConfig(domains=["example.com"], known=["sql:users", "a@example.com"]),
        traps=TrapsConfig(trusted=["fd00::/8"]),
    )
    lists = find_lists(made)
    assert [len(one.current) for one in lists.known] == [1]
    assert [one.has_client("fd00::1") for one in lists.trusted] == [True]


@pytest.mark.parametrize(
    ("known", "plugins", "expected"),
    [
        ([], [], False),
        (["a@example.com"], [], True),
        ([], [plugin(on_lookup=lambda *_: None)], True),
    ],
)
def test_a_list_or_a_plugin_has_the_recipients_that_exist(known, plugins, expected):
    made = config(recipients={"known": known})
    assert make_setup(made, find_lists(made), plugins).has_directory is expected
