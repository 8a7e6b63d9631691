"""The pages of the plugins with rules about content: their samples and metrics are the plugins'."""

import re
import tomllib

import pytest
from tests.docs.pages import blocks, page

from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place

METRICS = {
    "headers": {"found"},
    "loops": {"found"},
    "bounces": {"found", "signed", "valid_tags"},
    "regex": {"found"},
    "mark": {"added", "removed"},
    "headers_add": {"added"},
    "subject_tag": {"messages"},
    "disclaimer": {"messages"},
}
SAMPLES = [
    (name, table)
    for name in METRICS
    for sample in blocks(f"shipped/{name}", "toml")
    for table in tomllib.loads(sample)["plugin"]
]


@pytest.mark.parametrize(("name", "table"), SAMPLES)
def test_the_samples_of_a_page_are_options_of_its_plugin(name, table, tmp_path):
    (tmp_path / "rules").write_text("".join(blocks("shipped/regex", "text")))
    (tmp_path / "never_send").touch()
    assert table["use"] == name
    assert load_plugin(name, table.get("options", {}), Place(tmp_path)).options


@pytest.mark.parametrize("name", METRICS)
def test_the_metrics_of_a_page_are_those_of_its_plugin(name):
    described = set(re.findall(rf"`gatepost_plugin_{name}_(\w+)`", page(f"shipped/{name}")))
    assert described == METRICS[name]
