from tests.docs.pages import ROOT, blocks_of

from gatepost import load

README = ROOT / "README.md"


def test_the_configuration_is_valid(tmp_path):
    (sample,) = blocks_of(README, "toml")
    file = tmp_path / "gatepost.toml"
    file.write_text(sample)
    assert load(file).server.hostname == "mx.example.com"


def test_the_plugin_passes_its_test():
    plugin, test = blocks_of(README, "python")
    namespace = {"__name__": "readme"}
    exec(compile(plugin + test, "README.md", "exec"), namespace)
    namespace["test_closed_on_mondays"]()
