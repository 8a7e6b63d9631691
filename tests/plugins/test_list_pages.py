"""The configurations in the pages about the plugins with DNS lists can be used."""

import re
import tomllib

import pytest
from tests.docs.pages import DOCS

from gatepost import config_from_dict
from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place
from gatepost.plugins.dnsbl import Dnsbl

PAGES = ("dnsbl", "dnswl", "rhsbl", "uribl")
SAMPLES = [
    (name, sample)
    for name in PAGES
    for sample in re.findall(
        r"(?ms)^```toml\n(.*?)^```$", (DOCS / f"shipped/{name}.md").read_text("utf-8")
    )
]


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_a_configuration_of_a_page_is_valid(name, sample, tmp_path):
    if name == "uribl":
        pytest.importorskip("publicsuffixlist")
    (tmp_path / "dqs_key").write_text("abc\n")
    assert config_from_dict(tomllib.loads(sample))
    for plugin in tomllib.loads(sample)["plugin"]:
        if plugin["use"] in PAGES:
            load_plugin(plugin["use"], plugin.get("options", {}), Place(tmp_path))


def test_the_zones_of_the_page_have_these_reactions(tmp_path):
    (tmp_path / "dqs_key").write_text("abc\n")
    (plugin,) = tomllib.loads(SAMPLES[1][1])["plugin"]
    loaded = load_plugin("dnsbl", plugin["options"], Place(tmp_path))
    assert isinstance(loaded, Dnsbl)
    zen, _, dqs = loaded.options.parsed
    assert [one.word for one in zen.reactions(["127.0.0.9"])] == ["deny"]
    assert (dqs.zone, dqs.name) == ("abc.dq.example", "dq.example")
