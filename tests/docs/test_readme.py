import re
from pathlib import Path

from gatepost import load

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_configuration_is_valid(tmp_path):
    (sample,) = blocks("toml")
    file = tmp_path / "gatepost.toml"
    file.write_text(sample)
    assert load(file).server.hostname == "mx.example.com"


def test_the_plugin_passes_its_test(tmp_path):
    plugin, test = blocks("python")
    namespace = {"__name__": "readme"}
    exec(compile(plugin + test, "README.md", "exec"), namespace)
    namespace["test_closed_on_mondays"]()


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
