"""The pages of the plugins about the client: their samples are valid for the plugins."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from gatepost.plugin.loader import find_plugin

PAGES = Path(__file__).parents[2] / "docs/shipped"
NAMES = ("early_talker", "geo", "helo", "iprev", "p0f", "sender_domain")


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_of_a_page_are_options_of_its_plugin(name):
    plugin, _ = find_plugin(name, Path())
    samples = re.findall(r"(?ms)^```toml\n(.*?)^```$", (PAGES / f"{name}.md").read_text("utf-8"))
    for one in [table for sample in samples for table in tomllib.loads(sample)["plugin"]]:
        assert one["use"] == name
        assert plugin(**one.get("options", {})).options


@pytest.mark.parametrize("name", NAMES)
def test_the_metrics_of_a_page_are_those_of_its_plugin(name):
    plugin, _ = find_plugin(name, Path())
    classes = [one for one in plugin.__mro__ if one.__module__.startswith("gatepost.plugins")]
    source = "".join(map(inspect.getsource, classes))
    page = (PAGES / f"{name}.md").read_text("utf-8")
    described = set(re.findall(rf"`gatepost_plugin_{name}_(\w+)`", page))
    assert described == set(re.findall(r'counter\("(\w+)"', source))
