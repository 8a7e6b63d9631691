"""Header fields of plugins for mail that the server creates."""

import pytest
from structlog.testing import capture_logs

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugin.host import PluginHost


class Adds(Plugin):
    """Adds the fields that it was given."""

    def __init__(self, *fields):
        super().__init__()
        self.fields = fields

    def on_own_mail(self, message):
        self.message = message
        return self.fields


def added(*plugins):
    return PluginHost([Installed(one) for one in plugins]).fields_of_own_mail(b"Subject: x\r\n\r\n")


def test_fields_of_all_plugins_are_added():
    first, second = Adds(("A", "1"), ("B", "2")), Adds(("C", "3"))
    assert added(first, Plugin(), second) == [("A", "1"), ("B", "2"), ("C", "3")]
    assert first.message == b"Subject: x\r\n\r\n"


def test_none_adds_nothing():
    class Silent(Plugin):
        def on_own_mail(self, message):
            return None

    assert added(Silent()) == []


@pytest.mark.parametrize("field", [("A", "x\r\ny"), ("A B", "x"), "A", ("A",), 7])
def test_a_wrong_field_is_logged_and_left_out(field):
    with capture_logs() as events:
        assert added(Adds(("A", "1"), field), Adds(("C", "3"))) == [("C", "3")]
    assert [(one["event"], one["plugin"]) for one in events] == [("plugin failed", "adds")]
