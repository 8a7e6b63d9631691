"""The table of hooks that protocols lack."""

import pytest

from gatepost.plugin.hooks import METHODS
from gatepost.session.dialect import DIALECTS
from gatepost.session.hook_modes import NEVER, never_called, point_of, points


def test_every_protocol_has_a_row():
    assert set(DIALECTS) <= set(NEVER)


@pytest.mark.parametrize("protocol", NEVER)
def test_a_row_names_points_that_exist_each_with_a_reason(protocol):
    assert set(NEVER[protocol]) <= set(points())
    assert all(NEVER[protocol].values())


def test_every_method_belongs_to_a_point():
    assert {point_of(one) for one in METHODS} == {*points(), "after_any"}


def test_the_methods_of_a_point_that_a_protocol_lacks_are_never_called():
    methods = ["on_rcpt", "observe_ehlo", "on_ehlo", "after_any", "on_tls_failed", "on_tls"]
    assert never_called("milter", methods) == ["observe_ehlo", "on_ehlo", "on_tls_failed"]
    assert never_called("smtp", methods) == []
