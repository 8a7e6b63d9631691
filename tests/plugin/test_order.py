"""The order of plugins: as configured, unless `before` and `after` change it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.host import PluginError, PluginHost
from gatepost.plugin.order import OrderError, in_order


def plugin(name, before=(), after=()):
    one = type("Some", (Plugin,), {"before": before, "after": after})()
    one.name = name
    return Installed(one)


def names(*installed):
    return "".join(one.plugin.name for one in in_order(installed))


def test_the_default_order_is_that_of_the_configuration():
    assert names(plugin("c"), plugin("a"), plugin("b")) == "cab"


def test_after_moves_a_plugin_back_and_before_moves_it_forward():
    assert names(plugin("a", after={"c"}), plugin("b"), plugin("c")) == "bca"
    assert names(plugin("a"), plugin("b"), plugin("c", before={"a"})) == "bca"


def test_requirements_that_are_met_change_nothing():
    assert names(plugin("a", before={"b"}), plugin("b", after={"a"}), plugin("c")) == "abc"


def test_names_of_absent_plugins_have_no_effect():
    assert names(plugin("a", after={"x"}), plugin("b", before={"y"})) == "ab"


def test_a_plugin_can_be_installed_twice():
    assert names(plugin("a"), plugin("a"), plugin("b", before={"a"})) == "baa"


@pytest.mark.parametrize(
    "cycle",
    [
        [plugin("a", after={"b"}), plugin("b", after={"a"})],
        [plugin("a", before={"b"}), plugin("b", before={"a"})],
        [plugin("a", before={"b"}, after={"b"}), plugin("b")],
    ],
)
def test_a_contradiction_names_the_plugins(cycle):
    with pytest.raises(OrderError) as caught:
        in_order([plugin("free"), *cycle])
    assert str(caught.value) == "before/after of these plugins contradict each other: a, b"


@given(st.lists(st.tuples(st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7))), max_size=8))
def test_an_order_satisfies_every_requirement(requirements):
    installed = [
        plugin(str(n), {str(one) for one in before}, {str(one) for one in after})
        for n, (before, after) in enumerate(requirements)
    ]
    try:
        placed = [one.plugin.name for one in in_order(installed)]
    except OrderError:
        return
    assert sorted(placed) == sorted(one.plugin.name for one in installed)
    for one in (entry.plugin for entry in installed):
        own = placed.index(one.name)
        others = {name: at for at, name in enumerate(placed) if name != one.name}
        assert all(own < others.get(name, own + 1) for name in one.before)
        assert all(own > others.get(name, own - 1) for name in one.after)


def test_a_plugin_that_needs_an_absent_one_is_an_error():
    class Needs(Plugin):
        requires = frozenset({"spf", "dkim"})

    problem = 'plugin needs: needs the plugin dkim: add \\[\\[plugin\\]\\] use = "dkim"'
    with pytest.raises(PluginError, match=problem):
        PluginHost([Installed(Needs()), plugin("spf")])
    assert PluginHost([plugin("dkim"), plugin("spf"), Installed(Needs())]).installed
