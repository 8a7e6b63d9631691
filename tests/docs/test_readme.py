import shutil

from tests.docs.pages import ROOT, blocks_of
from tools import demo

from gatepost import load_config
from gatepost.plugin.loader import builtin_names

README = ROOT / "README.md"


def test_the_configuration_is_valid(tmp_path):
    (sample,) = blocks_of(README, "toml")
    file = tmp_path / "gatepost.toml"
    file.write_text(sample)
    assert load_config(file).server.hostname == "mx.example.com"


def test_the_plugin_passes_its_test():
    plugin, test = blocks_of(README, "python")
    namespace = {"__name__": "readme"}
    exec(compile(plugin + test, "README.md", "exec"), namespace)
    namespace["test_closed_on_mondays"]()


def test_the_mail_it_sends_is_that_of_the_demo(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    instructions = demo.instructions("127.0.0.1:2525")
    printed = [line.strip() for line in instructions.splitlines() if line.startswith("  ")]
    written = [line.strip() for block in blocks_of(README, "sh") for line in block.splitlines()]
    assert written == printed


def test_every_shipped_plugin_has_a_page():
    pages = {path.stem for path in (ROOT / "docs/shipped").glob("*.md")}
    assert pages == set(builtin_names())
