"""Texts about options, and reactions."""

import pytest

from gatepost import Plugin, Reaction, defer, deny, field, hold
from gatepost.plugin.options.about import about_options
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugin.options.words import shown_default


class Base(Plugin):
    class Options(Plugin.Options):
        """The options."""

        first: int = 1
        """The first
        option."""
        silent: int = 2
        other: Reaction = Reaction("deny")
        """The other option."""


class Derived(Base):
    class Options(Base.Options):
        third: dict[str, Reaction] = field(default_factory=dict)
        """The third option."""


def test_the_text_behind_a_field_is_about_it():
    assert about_options(Base.Options) == {
        "first": "The first option.",
        "other": "The other option.",
    }


def test_texts_of_a_base_class_are_kept():
    assert list(about_options(Derived.Options)) == ["first", "other", "third"]


def test_a_class_without_source_has_no_texts():
    found = {}
    exec("class Options:\n    x: int = 1\n    'text'\n", found)
    assert about_options(found["Options"]) == {}


def test_a_reaction_decides_with_the_class_of_its_code():
    assert Reaction("deny").decide("no", enhanced="5.7.23", reason="spf") == deny(
        "no", enhanced="5.7.23", reason="spf"
    )
    assert Reaction("defer").decide("no", enhanced="5.7.23") == defer("no", enhanced="4.7.23")
    assert Reaction("hold").decide("no", reason="spf") == hold("spf")
    assert Reaction("none").decide("no") is None
    assert Reaction(2.5).decide("no") is None


@pytest.mark.parametrize(
    ("value", "score", "shown"),
    [("deny", 0, '"deny"'), (2, 2, "2"), (-1.5, -1.5, "-1.5"), ("none", 0, '"none"')],
)
def test_a_reaction_is_read_from_the_configuration(value, score, shown):
    options = Derived(other=value, third={"a": value}).options
    assert options.other == options.third["a"] == Reaction(value)
    assert options.other.score == score
    assert shown_default(options.other) == shown


@pytest.mark.parametrize("value", ["refuse", True, None, [], float("nan"), float("inf")])
def test_another_value_is_refused(value):
    expected = 'expected "deny", "defer", "hold", "none" or a number of points, found'
    with pytest.raises(OptionsError, match=expected):
        Derived(other=value)


def test_reactions_are_values():
    assert Reaction(Reaction("defer")) == Reaction("defer") != Reaction(2)
    assert Reaction("deny") != "deny"
    assert len({Reaction(2), Reaction(2.0), Reaction("none")}) == 2
    assert [repr(Reaction(one)) for one in ("deny", 2.5)] == ['Reaction("deny")', "Reaction(2.5)"]
