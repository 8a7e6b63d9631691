"""docs/from-qpsmtpd-haraka.md: every plugin of the servers has a row, and every row is true."""

import json
import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS
from tools import equivalents as cells
from tools import peers

from gatepost.config import kinds
from gatepost.config.schema import Config
from gatepost.importers.equivalents import equivalents, named
from gatepost.plugin.loader import builtin_names

ROWS = equivalents()
# The plugins of qpsmtpd 1.00. Debian has version 0.94.
QPSMTPD = (Path(__file__).parent / "qpsmtpd-1.00.txt").read_text("utf-8").split()
NOT_PLUGINS = {"registry.txt", ".eslintrc.yaml"}


def files(folder):
    """The plugins in a folder, by their paths without a suffix of JavaScript."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_PLUGINS)
    return sorted(str(path.relative_to(folder)).removesuffix(".js") for path in found)


def without_row(names, server):
    rows = [row for row in ROWS if row.server == server]
    return [name for name in names if not named(name, rows)]


def paths(struct, prefix=""):
    """The paths of all keys of the configuration, those of tables included."""
    for field, key in kinds.keys(struct):
        path = prefix + field.encode_name
        yield path
        kind = key.kind
        while isinstance(kind, kinds.ArrayKind | kinds.OrFalse):
            kind = kind.of
        if isinstance(kind, kinds.TableKind):
            yield from paths(kind.struct, f"{path}.")


def unknown(kind, known):
    return [(row.name, one) for row in ROWS for one in row.references(kind) if one not in known]


def test_every_plugin_of_qpsmtpd_has_a_row():
    assert len(QPSMTPD) == 78
    assert without_row(QPSMTPD, "qpsmtpd") == []


def test_every_plugin_in_the_folder_of_qpsmtpd_has_a_row():
    if peers.find("qpsmtpd") is None:
        pytest.skip("qpsmtpd is not available")
    names = files(peers.ROOT / "qpsmtpd/usr/share/qpsmtpd/plugins")
    assert "karma" in names
    assert without_row(names, "qpsmtpd") == []


def test_every_plugin_in_the_folder_of_haraka_and_of_its_packages_has_a_row():
    if peers.find("haraka") is None:
        pytest.skip("Haraka is not available")
    haraka = peers.ROOT / "haraka/node_modules/Haraka"
    package = json.loads((haraka / "package.json").read_text("utf-8"))
    needed = package["dependencies"] | package["optionalDependencies"]
    names = [*files(haraka / "plugins"), *(n for n in needed if n.startswith("haraka-plugin-"))]
    assert {"tarpit", "haraka-plugin-karma"} <= set(names)
    assert without_row(names, "Haraka") == []


def test_every_plugin_of_a_row_is_shipped_and_has_a_page():
    names = set(builtin_names())
    assert unknown("plugin", names) == []
    assert unknown("plugin", {path.stem for path in DOCS.glob("shipped/*.md")}) == []


def test_every_key_of_a_row_is_one_of_the_configuration():
    assert unknown("key", set(paths(Config))) == []


def test_a_key_in_a_note_is_one_of_the_configuration():
    known = set(paths(Config))
    for row in ROWS:
        assert [one for one in re.findall(r"`(\w+\.[\w.]+)`", row.note) if one not in known] == []


def test_every_page_of_a_row_exists():
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")}
    names = {one.partition("#")[0] for row in ROWS for one in row.references("page")}
    assert names - pages == set()


def test_a_reference_to_a_heading_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="no heading has the anchor nosuch"):
        cells._link("page:queue#nosuch")
    with pytest.raises(ValueError, match="expected plugin:NAME"):
        cells._link("target:maildir")
